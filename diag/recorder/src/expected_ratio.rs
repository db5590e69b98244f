//! Ratios that the service declares: so many tasks of a kind for each of what one of its gauges counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::core_layout::{Table, column};
use crate::fork::List;

static EXPECTED: List<Declared> = List::new();

struct Declared {
    tasks: Box<str>,
    gauge: Box<str>,
    ratio_ppm: AtomicU64,
    tolerance_ppm: AtomicU64,
}

/// What a reader of cores is told of the ratios.
pub(crate) const fn core_table() -> Table {
    let columns = [
        column!(Declared, "tasks", tasks, 2),
        column!(Declared, "gauge", gauge, 2),
        column!(Declared, "ratio_ppm", ratio_ppm),
        column!(Declared, "tolerance_ppm", tolerance_ppm),
    ];
    EXPECTED.core_table("expected_ratios", &columns)
}

/// A ratio that was declared, made by [`expect_ratio`].
#[derive(Clone, Copy)]
pub struct ExpectedRatio(&'static Declared);

/// Declares that there is one task of a kind for each of what the gauge of this name counts, give or take a part of that: 0.1
/// for a tenth.
///
/// `tasks` is the name of their function, `hub::serve`, or the place where they are spawned, `src/hub.rs:88`; all tasks, if it is
/// empty. It stands in every snapshot, and the rule `ratio` holds the tasks against it: what the service knows of itself
/// needs no policy. A policy that says something else of the same tasks and gauge takes precedence. Said again of the same tasks
/// and gauge, it replaces what was said.
///
/// ```
/// diag::expect_ratio("hub::serve", "devices_online", 0.1);
/// // A reader and a writer for each connection, never one more or less.
/// diag::expect_ratio("src/link.rs", "connections", 0.0).each(2.0);
/// ```
pub fn expect_ratio(tasks: &str, gauge: &str, tolerance: f64) -> ExpectedRatio {
    let new = || Declared {
        tasks: tasks.into(),
        gauge: gauge.into(),
        ratio_ppm: AtomicU64::new(ppm(1.0)),
        tolerance_ppm: AtomicU64::new(0),
    };
    let declared = EXPECTED.find_or_add(|known| *known.tasks == *tasks && *known.gauge == *gauge, new);
    declared.ratio_ppm.store(ppm(1.0), Ordering::Relaxed);
    declared.tolerance_ppm.store(ppm(tolerance), Ordering::Relaxed);
    ExpectedRatio(declared)
}

impl ExpectedRatio {
    /// So many tasks for each, instead of one.
    pub fn each(self, tasks: f64) -> Self {
        self.0.ratio_ppm.store(ppm(tasks), Ordering::Relaxed);
        self
    }
}

impl std::fmt::Debug for ExpectedRatio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpectedRatio")
            .field("tasks", &self.0.tasks)
            .field("gauge", &self.0.gauge)
            .finish_non_exhaustive()
    }
}

/// In millionths; what is no number, or less than nothing, is nothing.
fn ppm(part: f64) -> u64 {
    (part * 1e6).round() as u64
}

/// All of them as the file has them, in the order in which they were declared.
pub(crate) fn all() -> Vec<diag_snapshot::ExpectedRatio> {
    let ratio = |declared: &Declared| diag_snapshot::ExpectedRatio {
        tasks: declared.tasks.clone().into(),
        gauge: declared.gauge.clone().into(),
        ratio_ppm: declared.ratio_ppm.load(Ordering::Relaxed),
        tolerance_ppm: declared.tolerance_ppm.load(Ordering::Relaxed),
    };
    let mut all: Vec<_> = EXPECTED.iter().map(ratio).collect();
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_again_replaces_what_was() {
        expect_ratio("a", "g", 0.5).each(2.0);
        expect_ratio("b", "g", f64::NAN);
        expect_ratio("a", "g", 0.1);
        let all: Vec<_> =
            all().into_iter().map(|ratio| (ratio.tasks, ratio.ratio_ppm, ratio.tolerance_ppm)).collect();
        assert_eq!(all, [("a".to_owned(), 1_000_000, 100_000), ("b".to_owned(), 1_000_000, 0)]);
    }
}
