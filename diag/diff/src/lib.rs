//! Compares two snapshots of a service and says what of the difference is a leak.
//!
//! [`diff`](diff()) states facts: which tasks came, went and stayed, and which of them rest for longer than is
//! usual at their spawn site. [`judge`] turns the facts into [`Finding`]s under a [`Policy`], and
//! [`report`] into text, JSON or Markdown.
//!
//! All of that is pure: no file is opened and no clock is read, so the same two snapshots give the same
//! report on every machine and on every day. Nothing here fetches or opens snapshots; the command line and
//! the viewer do.
#![forbid(unsafe_code)]

mod check;
pub mod diff;
mod flow;
mod merge;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod rules;
pub mod series;
pub mod stats;
mod time;
pub mod trend;

pub use check::{judge, judge_one, judge_series};
pub use diff::{Diff, NotComparable, diff, diff_with};
pub use outcome::Outcome;
pub use policy::{Policy, PolicyError};
pub use report::Report;
pub use rules::finding::{Category, Confidence, Finding};
pub use series::Series;
