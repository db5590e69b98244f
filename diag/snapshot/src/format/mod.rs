//! The snapshot file, version 1: [`write()`] makes its bytes, [`read()`] takes any bytes.
//!
//! A file is a header with a table of sections, then the sections: the facts as JSON, the strings,
//! and one section a [`Table`](crate::Table), each packed and with a digest of its own, so that
//! damage costs the section it hit and not the file. `SPEC.md` beside this crate is the law.
//!
//! There is no streaming: a file of a million tasks is some megabytes, and a reader needs all of it.

mod bytes;
mod column;
mod error;
#[cfg(test)]
mod extension;
mod facts;
mod header;
mod read;
mod section;
mod strings;
mod table;
mod write;

pub use error::{Damage, ReadError};
pub use header::{ContentId, content_id};
pub use read::{read, read_facts};
pub use write::write;

/// Readers of another major cannot read the file.
pub const MAJOR: u16 = 1;
/// Counts additions that readers of the same major may skip.
pub const MINOR: u16 = 13;
/// What one file may unpack to, sections and columns together: 4 GiB, some 20 million tasks.
pub const MAX_DECODED_BYTES: u64 = 4 << 30;
