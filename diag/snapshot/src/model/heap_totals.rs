//! What was allocated and freed since start, by stack and by spawn site: estimates from sampled blocks,
//! exact if every block is recorded. A stack or site without any has no row.

use super::cell::narrow;
use super::site::SiteIndex;
use super::stack::StackIndex;
use crate::table::{Column, Row, Target};

/// A row type of its own for each key, since the type names the table.
macro_rules! totals {
    ($(#[$doc:meta])* $row:ident in $table:literal, $(#[$key_doc:meta])* $key:ident: $Key:ident of $target:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $row {
            $(#[$key_doc])*
            pub $key: $Key,
            /// Blocks allocated.
            pub allocated_blocks: u64,
            /// Bytes allocated, growth by reallocation included.
            pub allocated_bytes: u64,
            /// Blocks freed.
            pub freed_blocks: u64,
            /// Bytes freed, shrinkage by reallocation included.
            pub freed_bytes: u64,
        }

        impl Row for $row {
            type Cells = [u64; 5];
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [Column] = &[
                Column::delta(stringify!($key)).index(Target::$target),
                Column::plain("allocated_blocks"),
                Column::plain("allocated_bytes"),
                Column::plain("freed_blocks"),
                Column::plain("freed_bytes"),
            ];

            fn to_cells(&self) -> Self::Cells {
                let $row { $key, allocated_blocks, allocated_bytes, freed_blocks, freed_bytes } = *self;
                [$key.0.into(), allocated_blocks, allocated_bytes, freed_blocks, freed_bytes]
            }

            fn from_cells(&[key, allocated_blocks, allocated_bytes, freed_blocks, freed_bytes]: &Self::Cells) -> Self {
                $row { $key: $Key(narrow(key)), allocated_blocks, allocated_bytes, freed_blocks, freed_bytes }
            }
        }
    };
}

totals! {
    /// What a call stack has allocated since start, and what of it was freed.
    StackTotalsRow in "stack_totals",
    /// Who allocated; the innermost frame.
    stack: StackIndex of Stacks
}

totals! {
    /// What the tasks of a spawn site have allocated since start, and what of it was freed, by whomever.
    SiteTotalsRow in "site_totals",
    /// Where the tasks were spawned.
    site: SiteIndex of Sites
}
