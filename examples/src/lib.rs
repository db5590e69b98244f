//! Services under test, each with faults to switch on and a healthy twin.
//!
//! They read like services people run: the faults are small, honest mistakes, marked in the code, and each
//! service writes down the truth about itself, so that what the diagnostics say can be checked to the task.
//! Nothing here is a mock: real sockets, real tasks, real memory.

pub mod agent;
pub mod args;
pub mod console;
pub mod forked;
pub mod iothub;
pub mod one_waker;
pub mod progress;
pub mod wakeups;
