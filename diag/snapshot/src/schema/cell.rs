//! Between fields and the `u64` cells of a table.

use super::Target;

/// A type that a field of a row may have: how a value of it is kept in a cell.
pub trait Cell: Copy {
    /// True if 0 stands for "absent" and a file may lack the column.
    const OPTIONAL: bool = false;
    /// What it indexes, if it is an index.
    const TARGET: Option<Target> = None;
    /// What the numbers 0, 1, 2 and so on stand for, if they stand for something.
    const CODES: &'static [&'static str] = &[];
    /// What its numbers count, if they have a unit: the name of its columns ends with that.
    const UNIT: Option<&'static str> = None;

    /// The cell of this value.
    fn to_cell(self) -> u64;
    /// The value of this cell. Total: any cell makes a value.
    fn from_cell(cell: u64) -> Self;
}

impl Cell for u64 {
    fn to_cell(self) -> u64 {
        self
    }

    fn from_cell(cell: u64) -> Self {
        cell
    }
}

/// Indices and lines are 32 bits; a larger one in a file points nowhere, as `u32::MAX` does.
impl Cell for u32 {
    fn to_cell(self) -> u64 {
        self.into()
    }

    fn from_cell(cell: u64) -> Self {
        u32::try_from(cell).unwrap_or(u32::MAX)
    }
}

/// No is 0 and yes is 1.
impl Cell for bool {
    fn to_cell(self) -> u64 {
        self.into()
    }

    fn from_cell(cell: u64) -> Self {
        cell != 0
    }
}

/// Its code point; what is none is U+FFFD.
impl Cell for char {
    fn to_cell(self) -> u64 {
        u32::from(self).into()
    }

    fn from_cell(cell: u64) -> Self {
        char::from_u32(u32::from_cell(cell)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

/// Absent is 0 and `n` is `n + 1`; `u64::MAX` itself cannot be told from its neighbour, which no id,
/// index or time comes near.
impl<T: Cell> Cell for Option<T> {
    const OPTIONAL: bool = true;
    const TARGET: Option<Target> = T::TARGET;
    const CODES: &'static [&'static str] = T::CODES;
    const UNIT: Option<&'static str> = T::UNIT;

    fn to_cell(self) -> u64 {
        self.map_or(0, |value| value.to_cell().saturating_add(1))
    }

    fn from_cell(cell: u64) -> Self {
        cell.checked_sub(1).map(T::from_cell)
    }
}

/// Declares a closed set with a number for each member: the number is its place, for ever. Each has a word or
/// two for people. A number that this reader does not know, of a newer format, is `Unknown`.
macro_rules! codes {
    (
        $(#[doc = $doc:literal])*
        $Set:ident {
            $($(#[doc = $member_doc:literal])* $Member:ident = $words:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $Set {
            $($(#[doc = $member_doc])* $Member,)*
            /// Not known, or a member of a newer format than this reader.
            Unknown,
        }

        impl $Set {
            /// A few words for people.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($Set::$Member => $words,)*
                    $Set::Unknown => "unknown",
                }
            }
        }

        impl crate::schema::Cell for $Set {
            const CODES: &'static [&'static str] = &[$($words),*];

            fn to_cell(self) -> u64 {
                if self == $Set::Unknown { 255 } else { self as u64 }
            }

            fn from_cell(cell: u64) -> Self {
                let known = [$($Set::$Member),*];
                usize::try_from(cell).ok().and_then(|i| known.get(i)).copied().unwrap_or($Set::Unknown)
            }
        }
    };
}
pub(crate) use codes;

/// Declares the type of an index into a list of the snapshot. An index from another snapshot points to
/// something else.
macro_rules! index {
    ($(#[doc = $doc:literal])* $Index:ident of $target:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Index(pub u32);

        impl crate::schema::Cell for $Index {
            const TARGET: Option<crate::schema::Target> = Some(crate::schema::Target::$target);

            fn to_cell(self) -> u64 {
                self.0.into()
            }

            fn from_cell(cell: u64) -> Self {
                $Index(u32::from_cell(cell))
            }
        }
    };
}
pub(crate) use index;
