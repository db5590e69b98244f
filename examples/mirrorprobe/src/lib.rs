//! A check of mirrors, with mistakes to make: how a prober storms, leaks and hangs, and how `diag` tells.

#![forbid(unsafe_code)]

mod cache;
pub mod case;
mod check;
mod client;
mod dashboard;
mod fault;
mod feed;
mod fuse;
mod load;
pub mod log;
mod metrics;
mod mirror;
mod mirrors;
mod once;
mod prober;
mod report;
mod run;
mod script;
mod standing;
mod truth;

pub use fault::Fault;
pub use load::Load;
pub use mirror::Last;
pub use mirrors::serve;
pub use once::Once;
pub use run::Run;
pub use script::Script;
pub use standing::Standing;
pub use truth::{OfMirror, Truth};
