//! The snapshot model of `diag` and its file format.
//!
//! A [`Snapshot`] is what a service knows about itself at one moment: every live task, what each
//! spawn site has done since start, the sampled heap, gauges, and what could *not* be seen. The
//! recorder fills it, [`format::write`] turns it into bytes, [`format::read`] back again, and the
//! diff, the command line and the viewer only ever see this model.
//!
//! This crate is total: it has no clock, no tokio, and no input makes it panic; only [`mod@file`]
//! touches the outside. It does not judge anything; that is `diag-diff`.
//!
//! The bytes are described in `SPEC.md` beside this crate.
#![forbid(unsafe_code)]

pub mod file;
pub mod format;
pub mod keep;
pub mod model;
pub mod schema;
pub mod strings;
pub mod table;
pub mod units;

pub use format::{ContentId, Damage, ReadError, content_id, read, write};
pub use keep::Keep;
pub use model::*;
pub use strings::{StringIndex, Strings};
pub use table::{Row, Table};
pub use units::{Bytes, Micros, Nanos};
