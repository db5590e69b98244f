//! Columns with a row view: the one shape of every large list in a snapshot.
//!
//! A [`Table`] keeps one `Vec<u64>` a column, because that is how it is written, compressed and
//! scanned; a [`Row`] says how its fields map to the columns. The file format knows only tables,
//! so a new field is one more column in one `impl Row`.

use std::marker::PhantomData;

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
            Target::Stacks => "stacks",
            Target::Frames => "frames",
            Target::Modules => "modules",
        }
    }
}

/// One column: its name in the file, its coding, whether a file may lack it.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name in the file; never changes meaning.
    pub name: &'static str,
    /// How it is written.
    pub coding: Coding,
    /// True if 0 stands for "absent" and `n + 1` for `n`.
    pub optional: bool,
    /// What it indexes, if it holds indices.
    pub target: Option<Target>,
}

impl Column {
    /// A column of plain values that every file has.
    pub const fn plain(name: &'static str) -> Self {
        Column { name, coding: Coding::Plain, optional: false, target: None }
    }

    /// A column of slowly changing values that every file has.
    pub const fn delta(name: &'static str) -> Self {
        Column { name, coding: Coding::Delta, optional: false, target: None }
    }

    /// A column of strictly increasing values that every file has.
    pub const fn ascending(name: &'static str) -> Self {
        Column { name, coding: Coding::Ascending, optional: false, target: None }
    }

    /// The same column with values that may be absent, one by one or altogether.
    pub const fn optional(self) -> Self {
        Column { optional: true, ..self }
    }

    /// The same column as indices of `target`.
    pub const fn index(self, target: Target) -> Self {
        Column { target: Some(target), ..self }
    }
}

/// A struct that can live in a [`Table`]: the mapping between its fields and the columns.
pub trait Row: Copy {
    /// One `u64` a column, in the order of [`COLUMNS`](Row::COLUMNS).
    type Cells: AsRef<[u64]> + AsMut<[u64]> + Default;
    /// The table's name in the file.
    const TABLE: &'static str;
    /// The columns, in the order of the cells.
    const COLUMNS: &'static [Column];
    /// The cells of this row.
    fn to_cells(&self) -> Self::Cells;
    /// The row of these cells. Total: any cells make a row.
    fn from_cells(cells: &Self::Cells) -> Self;
}

/// Rows of one kind, kept as columns. An optional column that is absent in every row is kept as an
/// empty one: what a service does not record takes neither memory nor room in the file.
pub struct Table<R> {
    rows: usize,
    columns: Vec<Vec<u64>>,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Table<R> {
    /// An empty table with room for `rows`.
    pub fn with_capacity(rows: usize) -> Self {
        let room = |column: &Column| Vec::with_capacity(if column.optional { 0 } else { rows });
        Table { rows: 0, columns: R::COLUMNS.iter().map(room).collect(), row: PhantomData }
    }

    /// A table of these columns, one vector for each of [`Row::COLUMNS`] and all of `rows` values,
    /// or empty if it is optional and absent; `None` if they are not.
    pub(crate) fn from_columns(rows: usize, mut columns: Vec<Vec<u64>>) -> Option<Self> {
        for (column, values) in R::COLUMNS.iter().zip(&mut columns) {
            if column.optional && values.iter().all(|&value| value == 0) {
                *values = Vec::new();
            } else if values.len() != rows {
                return None;
            }
        }
        (columns.len() == R::COLUMNS.len()).then_some(Table { rows, columns, row: PhantomData })
    }

    /// Adds a row at the end.
    pub fn push(&mut self, row: R) {
        let columns = R::COLUMNS.iter().zip(&mut self.columns);
        for ((column, values), &cell) in columns.zip(row.to_cells().as_ref()) {
            if column.optional && cell == 0 && values.is_empty() {
                continue;
            }
            // The first value of a column that was absent so far.
            values.resize(self.rows, 0);
            values.push(cell);
        }
        self.rows += 1;
    }

    /// Row `i`, if there is one.
    pub fn get(&self, i: usize) -> Option<R> {
        (i < self.len()).then(|| self.row(i))
    }

    /// All rows in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = R> + ExactSizeIterator {
        (0..self.len()).map(|i| self.row(i))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of each column, in the order of [`Row::COLUMNS`]; none of a column that is absent in
    /// every row.
    pub fn columns(&self) -> &[Vec<u64>] {
        &self.columns
    }

    /// The values of one column, as [`Row::to_cells`] makes them; none if it is absent in every row.
    /// For who needs one field of a million rows: whole ones are read column by column.
    pub fn column(&self, name: &str) -> &[u64] {
        let place = R::COLUMNS.iter().position(|column| column.name == name);
        place.and_then(|place| self.columns.get(place)).map_or(&[], Vec::as_slice)
    }

    fn row(&self, i: usize) -> R {
        let mut cells = R::Cells::default();
        for (cell, column) in cells.as_mut().iter_mut().zip(&self.columns) {
            *cell = column.get(i).copied().unwrap_or(0);
        }
        R::from_cells(&cells)
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Table::with_capacity(0)
    }
}

impl<R: Row> FromIterator<R> for Table<R> {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut table = Table::with_capacity(rows.size_hint().0);
        rows.for_each(|row| table.push(row));
        table
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Table { rows: self.rows, columns: self.columns.clone(), row: PhantomData }
    }
}

impl<R> PartialEq for Table<R> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.columns == other.columns
    }
}

impl<R: Row + std::fmt::Debug> std::fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
