//! The schema as data: a table is declared once, and all that knows its columns follows.
//!
//! `table!` makes of a declaration the row with its default and its docs, the way between its fields and the
//! cells, a typed accessor for each column, and the [`TableSpec`] that the codec reads and that `SPEC.md` prints.
//! How a field is kept in a cell is a matter of its type: [`Cell`].
//!
//! What is *not* here is how a table becomes bytes; that is [`format`](crate::format).

mod cell;

use crate::model::{Heap, Snapshot, TableVisitor};
use crate::table::{Row, Table};

pub use cell::Cell;
pub(crate) use cell::{codes, index};

/// What a file has of a table: its name, its columns, and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// Name of its section; never changes meaning.
    pub name: &'static str,
    /// First version of the format that has it.
    pub since: &'static str,
    /// What a row is, as its type is documented.
    pub doc: &'static str,
    /// Its columns, in the order of the fields.
    pub columns: &'static [ColumnSpec],
}

impl TableSpec {
    /// True if files of every version have it.
    pub fn is_in_first_version(&self) -> bool {
        self.since == "1.0"
    }
}

/// Every table that a file may have, in the order of the file.
pub fn tables() -> Vec<TableSpec> {
    struct Specs(Vec<TableSpec>);

    impl TableVisitor for Specs {
        fn visit<R: Row>(&mut self, _: &Table<R>) {
            self.0.push(R::TABLE);
        }
    }

    let mut specs = Specs(Vec::new());
    Snapshot { heap: Some(Heap::default()), ..Snapshot::default() }.visit_tables(&mut specs);
    specs.0
}

/// One column: its name in the file, its coding, what its values are.
#[derive(Clone, Copy, Debug)]
pub struct ColumnSpec {
    /// Name in the file; never changes meaning.
    pub name: &'static str,
    /// How it is written.
    pub coding: Coding,
    /// True if 0 stands for "absent" and `n + 1` for `n`, and a file may lack the column.
    pub optional: bool,
    /// What it indexes, if it holds indices.
    pub target: Option<Target>,
    /// What the numbers 0, 1, 2 and so on stand for, if it holds numbers that stand for something.
    pub codes: &'static [&'static str],
    /// What its values count, if they have a unit.
    pub unit: Option<&'static str>,
    /// First version of the format that has it.
    pub since: &'static str,
    /// What it holds, as the field is documented.
    pub doc: &'static str,
}

impl ColumnSpec {
    /// A column of fields `F`, whose values with their unit are `T`.
    pub(crate) const fn of<F: Cell, T: Cell>(
        name: &'static str,
        coding: Coding,
        since: &'static str,
        doc: &'static str,
    ) -> Self {
        assert!(F::OPTIONAL == T::OPTIONAL, "a field and its column are optional together");
        let (optional, target, codes, unit) = (T::OPTIONAL, T::TARGET, T::CODES, T::UNIT);
        ColumnSpec { name, coding, optional, target, codes, unit, since, doc }
    }
}

/// How a column is written. The values are `u64` either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Each value as it is.
    Plain,
    /// Each value as the signed difference to the one before: times, ids in spawn order.
    Delta,
    /// Strictly increasing values, as the gap to the one before less one: a value twice cannot be
    /// written down.
    Ascending,
}

/// Which list the values of a column are indices of; a reader checks them once, on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// [`Snapshot::strings`](crate::Snapshot::strings)
    Strings,
    /// [`Snapshot::sites`](crate::Snapshot::sites)
    Sites,
    /// [`Snapshot::resource_sites`](crate::Snapshot::resource_sites)
    ResourceSites,
    /// [`Snapshot::group_sites`](crate::Snapshot::group_sites)
    GroupSites,
    /// [`Stacks::stacks`](crate::Stacks::stacks)
    Stacks,
    /// [`Stacks::frames`](crate::Stacks::frames)
    Frames,
    /// [`Stacks::modules`](crate::Stacks::modules)
    Modules,
}

impl Target {
    /// Name of that list in the file.
    pub fn table(self) -> &'static str {
        match self {
            Target::Strings => "strings",
            Target::Sites => "sites",
            Target::ResourceSites => "resource_sites",
            Target::GroupSites => "group_sites",
            Target::Stacks => "stacks",
            Target::Frames => "frames",
            Target::Modules => "modules",
        }
    }
}

/// Declares a table and its row.
///
/// ```text
/// table! {
///     /// A live task.
///     TaskRow in tasks, since 1.0 {
///         /// Never reused in this process.
///         id: TaskId as Ascending;
///         /// Spawned at.
///         spawned_us: u64 as Delta of Micros;
///         /// Live clones of its waker.
///         wakers: Option<u32> as Plain, since 1.1;
///     }
/// }
/// ```
///
/// A column is its field's name, its type, which decides whether it is optional, what it indexes and what its
/// numbers stand for ([`Cell`]), its [`Coding`], its unit, and the version of the format that it came with, if its
/// table is older. Only an optional column may come later: an older file lacks it. A field of a unit is the number
/// alone, and its name ends with the unit; the column has the two together.
///
/// It makes the row (all zero, that is absent, by [`Default`]), its [`Row`](crate::Row), and on `Table<TaskRow>` a
/// method of each column's name for its [`Column`](crate::table::Column).
macro_rules! table {
    (@value $Type:ty) => { $Type };
    (@value $Type:ty, $Unit:ty) => { $Unit };
    (
        $(#[doc = $doc:literal])*
        $Row:ident in $table:ident, since $since:literal {
            $($(#[doc = $field_doc:literal])* $field:ident: $Type:ty as $coding:ident $(of $Unit:ty)? $(, since $from:literal)?;)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $Row {
            $($(#[doc = $field_doc])* pub $field: $Type,)*
        }

        const _: () = {
            use crate::schema::{Cell, Coding, ColumnSpec, TableSpec, table};
            use crate::table::{Column, Row, Table};

            /// The place of each column among the others.
            #[allow(non_camel_case_types)]
            enum Place { $($field),* }

            impl Row for $Row {
                const TABLE: TableSpec = TableSpec {
                    name: stringify!($table),
                    since: stringify!($since),
                    doc: concat!($($doc, "\n"),*),
                    columns: &[$(ColumnSpec::of::<$Type, table!(@value $Type $(, $Unit)?)>(
                        stringify!($field),
                        Coding::$coding,
                        [$(stringify!($from),)? stringify!($since)][0],
                        concat!($($field_doc, "\n"),*),
                    )),*],
                };

                fn to_cells(&self) -> impl AsRef<[u64]> {
                    [$(Cell::to_cell(self.$field)),*]
                }

                fn from_cells(mut next: impl FnMut() -> u64) -> Self {
                    $Row { $($field: Cell::from_cell(next())),* }
                }
            }

            impl Default for $Row {
                fn default() -> Self {
                    Self::from_cells(|| 0)
                }
            }

            impl Table<$Row> {
                $(
                    $(#[doc = $field_doc])*
                    pub fn $field(&self) -> Column<'_, table!(@value $Type $(, $Unit)?)> {
                        self.column_at(Place::$field as usize)
                    }
                )*
            }
        };
    };
}
pub(crate) use table;
