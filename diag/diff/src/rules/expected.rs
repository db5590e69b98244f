//! What a policy expects of the tasks.

use diag_analysis::gauge::Gauge;

use super::place::Place;

/// The tasks that a policy expects for each of what a gauge counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Where they are spawned; none for all tasks.
    pub site: Option<Place>,
    /// What they are there for.
    pub gauge: Gauge,
    /// So many for each.
    pub ratio: f64,
}
