//! What the tests of several packages share.
//!
//! What needs nothing is always there; what needs other packages comes with a feature, so that no package's tests get
//! one turned on that they did not have.

#[cfg(feature = "any")]
pub mod any;
#[cfg(feature = "snapshots")]
pub mod call_stack;
#[cfg(feature = "snapshots")]
pub mod crowd;
#[cfg(feature = "forge")]
pub mod forge;
#[cfg(feature = "snapshots")]
pub mod iothub;
#[cfg(feature = "snapshots")]
pub mod labels;
#[cfg(feature = "profile")]
pub mod profile;
#[cfg(feature = "snapshots")]
pub mod scenario;
#[cfg(feature = "snapshots")]
pub mod waiting;

pub mod action;
pub mod again;
pub mod agent;
pub mod core_file;
pub mod core_of_process;
pub mod core_with_tables;
pub mod eventually;
pub mod folder;
pub mod golden;
pub mod http;
pub mod memory;
pub mod program;
pub mod random;
