#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! [`diff`](diff()) compares two analyses, a [`Series`] has many; [`judge`], [`judge_one`] and [`judge_series`] give
//! [`Finding`]s under a [`Policy`], and a [`Report`] renders them. Nothing here fetches or opens snapshots; the command
//! line and the viewer do.
#![forbid(unsafe_code)]

pub mod baseline;
mod check;
pub mod diff;
mod flow;
pub mod memdiff;
mod merge;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod rules;
pub mod series;
pub mod stats;
mod time;
pub mod trend;

pub use check::{judge, judge_one, judge_series, judge_series_with};
pub use diff::{Diff, NotComparable, diff, diff_with};
pub use outcome::Outcome;
pub use policy::{Policy, PolicyError};
pub use report::Report;
pub use rules::finding::{Category, Confidence, Finding};
pub use series::Series;
