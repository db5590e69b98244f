//! Batches of one operation, and the cheapest of them.
//!
//! Several operations are timed by turns, a batch of each a round, so that a busy second on the
//! machine falls on all of them. The cheapest batch is kept: noise only ever adds.

use crate::figures::Figures;

/// CPU time of one batch; long against a clock read, short against a time slice.
const BATCH_NS: u64 = 4_000_000;
/// Batches of each operation a process runs.
const BATCHES: usize = 15;

/// One operation under the clock.
pub(crate) struct Timed<F> {
    name: String,
    cpu_ns: fn() -> u64,
    run: F,
    count: u64,
    best_ns: f64,
}

impl<F: FnMut(u64)> Timed<F> {
    /// Warms `run` up, and finds how many operations fill a batch.
    pub(crate) fn new(name: String, cpu_ns: fn() -> u64, run: F) -> Self {
        let mut timed = Timed { name, cpu_ns, run, count: 0, best_ns: f64::INFINITY };
        // The first pass pays for all that is made once, and finds far too small a count.
        timed.fill_a_batch();
        timed.fill_a_batch();
        timed
    }

    fn fill_a_batch(&mut self) {
        self.count = 16;
        let mut spent_ns = self.spent_ns();
        while spent_ns < BATCH_NS / 8 {
            self.count *= 2;
            spent_ns = self.spent_ns();
        }
        self.count = (self.count * BATCH_NS / spent_ns).max(1);
    }

    fn batch(&mut self) {
        let each_ns = self.spent_ns() as f64 / self.count as f64;
        self.best_ns = self.best_ns.min(each_ns);
    }

    fn spent_ns(&mut self) -> u64 {
        let start = (self.cpu_ns)();
        (self.run)(self.count);
        (self.cpu_ns)() - start
    }
}

/// Runs all batches by turns, each round begun by another operation; nanoseconds of each by name.
pub(crate) fn run_by_turns<F: FnMut(u64)>(mut operations: Vec<Timed<F>>) -> Figures {
    for _ in 0..BATCHES {
        operations.rotate_left(1);
        operations.iter_mut().for_each(Timed::batch);
    }
    operations.into_iter().map(|timed| (timed.name, timed.best_ns)).collect()
}
