//! What a policy, or the service itself, expects of the tasks.

use diag_analysis::gauge::Gauge;
use diag_snapshot::ExpectedRatio;

use super::place::Place;

/// The tasks that are expected for each of what a gauge counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Where they are spawned; none for all tasks.
    pub site: Option<Place>,
    /// What they are there for.
    pub gauge: Gauge,
    /// So many for each.
    pub ratio: f64,
    /// They may be off by so large a part of that, and by not one more; none where the thresholds of the rule say it.
    pub tolerance: Option<f64>,
}

impl Expected {
    /// What the service has declared.
    pub(super) fn declared(ratio: &ExpectedRatio) -> Self {
        Expected {
            site: Place::of(&ratio.tasks),
            gauge: Gauge::Published(ratio.gauge.clone()),
            ratio: ratio.ratio_ppm as f64 / 1e6,
            tolerance: Some(ratio.tolerance_ppm as f64 / 1e6),
        }
    }

    /// True if both are of the same tasks and gauge.
    pub(super) fn is_of_the_same(&self, other: &Expected) -> bool {
        (&self.site, &self.gauge) == (&other.site, &other.gauge)
    }
}
