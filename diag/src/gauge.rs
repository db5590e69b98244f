//! Numbers that the service publishes, to hold task counts against: devices online, sessions open.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

static GAUGES: Mutex<Vec<(&'static str, &'static AtomicI64)>> = Mutex::new(Vec::new());

/// A named number in every snapshot. Copies are the same gauge; setting one is one atomic store.
#[derive(Clone, Copy)]
pub struct Gauge(&'static AtomicI64);

/// The gauge called `name`, made at the first call with 0. Names live for ever: use a fixed few.
///
/// ```
/// let online = diag::gauge("devices_online");
/// online.add(2);
/// online.sub(1);
/// assert_eq!(diag::gauge("devices_online").get(), 1);
/// ```
pub fn gauge(name: &str) -> Gauge {
    let mut gauges = GAUGES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, value)) = gauges.iter().find(|(known, _)| *known == name) {
        return Gauge(value);
    }
    let value: &'static AtomicI64 = Box::leak(Box::new(AtomicI64::new(0)));
    gauges.push((Box::leak(name.into()), value));
    Gauge(value)
}

impl Gauge {
    /// Makes it `value`.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Subtracts `n`.
    pub fn sub(&self, n: i64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.get()).finish()
    }
}

/// All gauges as the file has them, in the order of their making.
pub(crate) fn all() -> Vec<diag_snapshot::Gauge> {
    let gauges = GAUGES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    gauges
        .iter()
        .map(|(name, value)| diag_snapshot::Gauge {
            name: (*name).to_owned(),
            value: value.load(Ordering::Relaxed),
        })
        .collect()
}
