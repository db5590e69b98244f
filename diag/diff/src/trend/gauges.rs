//! Gauges over a series.

use std::collections::BTreeMap;

use diag_analysis::Analysis;
use diag_analysis::gauge::Gauge;

/// Each gauge at each moment; none where it is not known.
pub type Gauges = BTreeMap<Gauge, Vec<Option<u64>>>;

/// Adds what a member says.
pub(super) fn push(gauges: &mut Gauges, moment: usize, member: &Analysis) {
    for (gauge, value) in Gauge::all(member.snapshot()) {
        let values = gauges.entry(gauge).or_default();
        values.resize(moment, None);
        values.push(Some(value));
    }
    gauges.values_mut().for_each(|values| values.resize(moment + 1, None));
}
