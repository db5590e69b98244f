//! Healthy work on every kind of leaf, and tasks beside it that nothing can ever wake.
//!
//! The `wakeups` program takes snapshots of both and compares what they say with what is true.

pub mod planted;
mod rounds;
pub mod workload;
