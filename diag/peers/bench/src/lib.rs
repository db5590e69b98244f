//! What every peer has in common: the workloads, the clocks, and the way driver and peer talk.
//!
//! A peer is a package of a few lines that hands its `spawn`, or its allocator, to [`tasks::main`],
//! [`service::main`] or [`heap::main`]; the driver builds it, starts it as a process with the arguments of a
//! [`request`], and reads [`figures`] from its standard output. Nothing here compares: one process
//! measures one peer, and the driver, which sees all of them, does the arithmetic.

pub mod clock;
pub mod figures;
pub mod fixed;
pub mod heap;
#[cfg(feature = "park")]
mod park;
pub mod request;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "tasks")]
pub mod tasks;
mod timed;
