//! diag
mod clock;
mod current;
mod sync;
pub mod task;
