#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! An [`Analysis`] is built once for each snapshot. Of it are made the text of [`dump`], the [`metrics`], and every
//! [`export`] format. Only `symbols`, which services do not link, opens files: those of binaries, to name what the
//! service could not name, and of cores.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

pub mod allocation_kind;
pub mod allocation_sites;
mod analysis;
pub mod anonymize;
pub mod await_point;
pub mod await_points;
pub mod cohorts;
pub mod conditions;
#[cfg(feature = "symbols")]
pub mod core_tables;
mod coverage;
mod cpu_shortage;
pub mod cpu_stacks;
pub mod doctor;
pub mod dump;
mod each_once;
pub mod export;
mod future_name;
pub mod gauge;
pub mod heap_profile;
pub mod heap_stacks;
pub mod holders;
pub mod holding;
pub mod human;
#[cfg(feature = "import")]
pub mod import;
mod library_sites;
pub mod lifetimes;
pub mod live_stacks;
mod maker_stack;
pub mod memory_breakdown;
pub mod memory_image;
pub mod metrics;
pub mod named_stacks;
mod not_recorded;
pub mod outlived;
pub mod overdue;
pub mod parked_tasks;
#[cfg(feature = "pprof")]
pub mod pprof;
mod registry;
mod resource_sites;
pub mod runtime_frames;
pub mod site;
mod site_figures;
mod site_names;
pub mod source_location;
pub mod stragglers;
#[cfg(feature = "symbols")]
pub mod symbols;
pub mod tallies;
mod task_cells;
pub mod task_index;
pub mod task_labels;
pub mod unnamed;
pub mod views;
pub mod weighted_sum;

pub use analysis::Analysis;
pub use coverage::Coverage;
pub use not_recorded::not_recorded;
