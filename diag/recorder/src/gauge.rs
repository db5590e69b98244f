//! Numbers that the service publishes, to hold task counts against: devices online, sessions open.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::core_layout::{Table, column};
use crate::fork::List;

static GAUGES: List<Named> = List::new();

struct Named {
    name: Box<str>,
    value: AtomicI64,
}

/// What a reader of cores is told of the gauges.
pub(crate) const fn core_table() -> Table {
    GAUGES.core_table("gauges", &[column!(Named, "name", name, 2), column!(Named, "value", value)])
}

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
    let new = || Named { name: name.into(), value: AtomicI64::new(0) };
    Gauge(&GAUGES.find_or_add(|known| *known.name == *name, new).value)
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
    let gauge = |gauge: &Named| diag_snapshot::Gauge {
        name: gauge.name.clone().into(),
        value: gauge.value.load(Ordering::Relaxed),
    };
    let mut all: Vec<_> = GAUGES.iter().map(gauge).collect();
    all.reverse();
    all
}
