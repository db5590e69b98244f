//! What one snapshot of a service shows.
//!
//! The recorder writes rows and `diag-snapshot` reads them back; this crate says what they mean: where tasks wait,
//! what functions allocated and what a block is part of, where resident memory is. From that it renders what needs
//! one snapshot only: the text of [`dump`], the [`metrics`], and every [`export`] format.
//!
//! It is pure: no file is opened, no clock is read, and any snapshot, a damaged one as well, gives an answer. It
//! judges nothing; that is `diag-diff`, which compares several snapshots.
#![forbid(unsafe_code)]

pub mod allocation_sites;
pub mod container;
pub mod dump;
pub mod export;
pub mod human;
pub mod leaf;
pub mod memory;
pub mod metrics;
pub mod names;
mod not_recorded;
pub mod parked;
#[cfg(feature = "pprof")]
pub mod pprof;
pub mod runtime_frames;

pub use not_recorded::not_recorded;
