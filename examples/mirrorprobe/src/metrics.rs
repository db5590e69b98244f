//! Counters with labels, and the times that checks took: a series for each set of labels.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Fault;

/// A series has so many buckets, of a millisecond each.
const BUCKETS: usize = 1024;

/// All series.
pub(crate) struct Metrics {
    fault: Option<Fault>,
    series: Mutex<HashMap<String, Box<[u64]>>>,
}

impl Metrics {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Metrics { fault, series: Mutex::default() }
    }

    fn series(&self) -> MutexGuard<'_, HashMap<String, Box<[u64]>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts how long a check took.
    pub(crate) fn count(&self, mirror: usize, outcome: &str, id: &str, took: Duration) {
        let id = if self.fault == Some(Fault::LabelExplosion) { id } else { "" };
        let labels = format!("check_seconds{{mirror=\"{mirror}\",outcome=\"{outcome}\",id=\"{id}\"}}");
        let mut series = self.series();
        let buckets = series.entry(labels).or_insert_with(buckets);
        if let Some(count) = buckets.get_mut(took.as_millis() as usize) {
            *count += 1;
        }
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series().len()
    }
}

fn buckets() -> Box<[u64]> {
    vec![0; BUCKETS].into() // FAULT label-explosion
}
