#![doc = include_str!("../README.md")]
//!
//! A file is mapped, its tables are read where they lie, and nothing is kept once the addresses that were
//! asked for have their names. Which file belongs to which module is the caller's to decide, by build id;
//! nothing is searched for here.

mod chains;
mod core_file;
mod debug_info;
mod elf;
mod elf_headers;
mod function;
mod lines;
mod mapped;
mod names;
mod probe;
mod symbol_table;

pub use core_file::{CoreFile, CoreMapping, CoreRegion, CoreThread};
pub use debug_info::DebugInfo;
pub use elf::{Detail, ElfFile, look_up};
pub use elf_headers::{ElfHeaders, ElfSegment};
pub use function::Function;

use std::fmt::Write as _;

/// Lower-case hex, as build ids are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
