#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! [`model`] has the [`Snapshot`] and its tables, declared by [`schema`]; [`mod@format`] has the bytes, which `SPEC.md`
//! beside this crate describes. This crate is total: it has no clock and no tokio; only [`mod@file`] touches the
//! outside.
#![forbid(unsafe_code)]

mod commonest;
mod date;
pub mod file;
pub mod format;
pub mod keep;
pub mod model;
pub mod schema;
pub mod strings;
pub mod table;
pub mod units;

pub use commonest::commonest;
pub use date::Date;
pub use format::{ContentId, Damage, ReadError, content_id, read, write};
pub use keep::Keep;
pub use model::*;
pub use strings::{StringIndex, Strings};
pub use table::{Row, Table};
pub use units::{Bytes, Micros, Nanos};
