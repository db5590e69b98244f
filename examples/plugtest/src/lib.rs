//! A test runner with plugins, with mistakes to make: how the state of suites leaks from test to test, and how `diag` tells.

#![forbid(unsafe_code)]

mod body;
pub mod case;
mod database;
mod fault;
mod guarded;
mod isolated;
mod journal;
mod load;
mod mock;
mod plugin;
mod refund;
mod report;
mod run;
mod runner;
mod scratch;
mod suite;
mod truth;
mod watch;

pub use fault::Fault;
pub use guarded::Guarded;
pub use isolated::Isolated;
pub use load::Load;
pub use run::Run;
pub use truth::Truth;
