//! Which polls are more than ordinary: a few are timed precisely, and of a few the stacks are taken.
//!
//! One countdown to whichever comes next, so that an ordinary poll pays for one test. Both are at random: "every
//! 16th" would keep step with tasks that are polled in a rhythm, or hit every one-poll task or none.
//!
//! Stacks have a budget in units of about 50 ns: a stack that is known again costs one, a walk one and a third a
//! frame. A thread gets so many a second, and all threads together no more than [`PROCESS_UNITS`]. The bucket
//! holds four seconds and is full at first, so that the tasks that a service starts with are known. Its last
//! quarter is kept for first polls and for those after a long rest: what leaks rests, and was polled a last time.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::core_layout::Table;

/// Units a second for each thread, unless told otherwise: 2.5 ms of it.
pub(crate) const DEFAULT_UNITS: u32 = 50_000;
/// Units a second for all threads: under a lock that all of them share, 1 % of a second.
const PROCESS_UNITS: u64 = 200_000;
/// Seconds that a bucket holds.
const BUCKET_S: u32 = 4;
/// The bucket is filled no more often than this.
const REFILL_NS: u64 = 10_000_000;
/// How often the gap between polls with stacks is adapted to the number of polls.
const JUDGE_NS: u64 = 50_000_000;
const MAX_GAP: u32 = 1 << 20;

/// Units a second and thread; 0 takes no stacks.
static UNITS: AtomicU32 = AtomicU32::new(0);
/// Polls that should have had stacks, and no units were left: first ones and those after a long rest.
static WITHOUT_UNITS: AtomicU64 = AtomicU64::new(0);

/// Where it is said how many units stacks may cost.
pub(crate) const fn units_table() -> Table {
    Table::at("units", size_of::<AtomicU32>(), &[], (&raw const UNITS).cast_mut().cast(), 1)
}

/// Where it is counted how many polls had no units left.
pub(crate) const fn without_units_table() -> Table {
    Table::at("parked_without", size_of::<AtomicU64>(), &[], (&raw const WITHOUT_UNITS).cast_mut().cast(), 1)
}

/// Takes stacks from now on, at the cost of so many units a second and thread.
pub(crate) fn take_stacks(units: u32) {
    UNITS.store(units, Ordering::Relaxed);
}

/// Units a second and thread that stacks may cost; 0 if none are taken.
pub(crate) fn units() -> u32 {
    UNITS.load(Ordering::Relaxed)
}

/// First polls and those after a long rest that left no stacks for want of units.
pub(crate) fn without_units() -> u64 {
    WITHOUT_UNITS.load(Ordering::Relaxed)
}

/// Polls timed precisely unless asked otherwise: one in so many on average.
const TIMED_ONE_IN: u32 = 16;
static TIMING_ONE_IN: AtomicU32 = AtomicU32::new(TIMED_ONE_IN);

/// Where it is said of how many polls one is timed.
pub(crate) const fn timing_table() -> Table {
    Table::at("timing", size_of::<AtomicU32>(), &[], (&raw const TIMING_ONE_IN).cast_mut().cast(), 1)
}

/// Of so many polls one is timed precisely, and stands for so many.
#[inline]
pub(crate) fn timing_one_in() -> u32 {
    TIMING_ONE_IN.load(Ordering::Relaxed)
}

/// Times every poll precisely from now on, or one in sixteen.
pub(crate) fn time_exactly(on: bool) {
    TIMING_ONE_IN.store(if on { 1 } else { TIMED_ONE_IN }, Ordering::Relaxed);
}

/// What is done in a poll besides counting it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Extra(u64);

impl Extra {
    /// Nothing, as in most.
    pub(super) const NONE: Extra = Extra(0);
    const STACKS: u64 = 1;

    /// True if there is something.
    #[inline(always)]
    pub(super) fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The precise clock at the start of a poll that is timed, else 0.
    pub(super) fn started_ns(self) -> u64 {
        self.0 & !Extra::STACKS
    }

    /// True if stacks are taken.
    #[inline(always)]
    pub(super) fn takes_stacks(self) -> bool {
        self.0 & Extra::STACKS != 0
    }

    /// The same, and stacks are taken or not.
    pub(super) fn with_stacks(self, on: bool) -> Extra {
        Extra(self.started_ns() | u64::from(on))
    }
}

/// A thread's dice and its budget. All zero is a thread without polls.
pub(super) struct Sampling {
    /// Ordinary polls before the next other one.
    countdown: Cell<u32>,
    /// What `countdown` began at.
    stride: Cell<u32>,
    until_timed: Cell<u32>,
    until_stacks: Cell<u32>,
    random: Cell<u64>,
    units: Cell<u32>,
    /// Mean of the ordinary polls between two with stacks.
    gap: Cell<u32>,
    ran_out: Cell<bool>,
    filled_ns: Cell<u64>,
    judged_ns: Cell<u64>,
}

impl Sampling {
    pub(super) const fn new() -> Self {
        Sampling {
            countdown: Cell::new(0),
            stride: Cell::new(0),
            until_timed: Cell::new(0),
            until_stacks: Cell::new(0),
            random: Cell::new(0),
            units: Cell::new(0),
            gap: Cell::new(0),
            ran_out: Cell::new(false),
            filled_ns: Cell::new(0),
            judged_ns: Cell::new(0),
        }
    }

    /// Starts the thread's dice. Any odd number does, a different one on each thread.
    pub(super) fn seed(&self, odd: u64) {
        self.random.set(odd);
    }

    /// True if this poll is none of the ordinary, and [`next`](Sampling::next) says what it is.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        match self.countdown.get() {
            0 => true,
            n => {
                self.countdown.set(n - 1);
                false
            }
        }
    }

    /// What the poll is that was due, at `now_ns`: timed if this gives true first, with stacks if second.
    pub(super) fn next(&self, now_ns: u64) -> (bool, bool) {
        let passed = self.stride.get() + 1;
        let is_due = |until: &Cell<u32>| {
            until.set(until.get().saturating_sub(passed));
            until.get() == 0
        };
        let timed = is_due(&self.until_timed);
        if timed {
            self.until_timed.set(self.uniform(2 * timing_one_in() - 1) + 1);
        }
        let mut stride = self.until_timed.get() - 1;
        let units = units();
        let mut stacks = false;
        if units > 0 {
            if is_due(&self.until_stacks) {
                stacks = self.has_units(now_ns, units);
                self.until_stacks.set(self.uniform(2 * self.gap.get() + 1) + 1);
            }
            stride = stride.min(self.until_stacks.get() - 1);
        }
        self.stride.set(stride);
        self.countdown.set(stride);
        (timed, stacks)
    }

    /// True if a first poll or one after a long rest may have stacks taken, which the last quarter is for.
    pub(super) fn has_units_left(&self, now_ns: u64) -> bool {
        let units = units();
        let left = units > 0 && (self.units.get() > 0 || self.fill(now_ns, units) > 0);
        if units > 0 && !left {
            WITHOUT_UNITS.fetch_add(1, Ordering::Relaxed);
        }
        left
    }

    /// A poll with stacks cost so much.
    pub(super) fn pay(&self, units: u32) {
        self.units.set(self.units.get().saturating_sub(units));
    }

    /// True if any poll may have stacks taken. Adapts the gap, so that what there is suffices.
    fn has_units(&self, now_ns: u64, units: u32) -> bool {
        let enough = self.fill(now_ns, units) > units.saturating_mul(BUCKET_S) / 4;
        if !enough {
            self.ran_out.set(true);
        }
        if now_ns.saturating_sub(self.judged_ns.get()) > JUDGE_NS {
            self.judged_ns.set(now_ns);
            let gap = self.gap.get();
            let ran_out = self.ran_out.replace(false);
            self.gap.set(if ran_out { (gap + gap / 4 + 1).min(MAX_GAP) } else { gap - gap.div_ceil(8) });
        }
        enough
    }

    /// Adds what time has brought. How many units there are then.
    fn fill(&self, now_ns: u64, units: u32) -> u32 {
        let full = units.saturating_mul(BUCKET_S);
        let since_ns = now_ns.saturating_sub(self.filled_ns.get());
        if since_ns < REFILL_NS {
            return self.units.get();
        }
        let is_first = self.filled_ns.replace(now_ns) == 0;
        let since_ns = since_ns.min(u64::from(BUCKET_S) * 1_000_000_000);
        let wanted = (since_ns * u64::from(units) / 1_000_000_000)
            .min(u64::from(full.saturating_sub(self.units.get())));
        let new = if is_first { full } else { of_process(now_ns, wanted) as u32 };
        self.units.set((self.units.get() + new).min(full));
        self.units.get()
    }

    /// Uniform below `n` (Marsaglia's xorshift64).
    fn uniform(&self, n: u32) -> u32 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        ((x >> 32) % u64::from(n)) as u32
    }
}

/// Up to so many units from what all threads share: a bucket of a second. A race gives somewhat too much.
fn of_process(now_ns: u64, wanted: u64) -> u64 {
    /// When the bucket, that began empty, would have been empty again.
    static PAID_UNTIL_NS: AtomicU64 = AtomicU64::new(0);
    const UNIT_NS: u64 = 1_000_000_000 / PROCESS_UNITS;
    let paid_ns = PAID_UNTIL_NS.load(Ordering::Relaxed).max(now_ns.saturating_sub(1_000_000_000));
    let given = wanted.min(now_ns.saturating_sub(paid_ns) / UNIT_NS);
    PAID_UNTIL_NS.store(paid_ns + given * UNIT_NS, Ordering::Relaxed);
    given
}

/// An extra for a poll that begins now.
pub(super) fn extra(timed: bool, stacks: bool) -> Extra {
    let started_ns = if timed { crate::clock::precise_ns() } else { 0 };
    Extra(started_ns).with_stacks(stacks)
}

#[cfg(all(test, not(diag_loom)))]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn sampling() -> Sampling {
        let sampling = Sampling::new();
        sampling.seed(0x9E37_79B9_7F4A_7C15);
        sampling
    }

    /// Runs `polls` polls a second for so long; how many were timed, and how many had stacks, at a unit each.
    fn run(sampling: &Sampling, start_ns: u64, polls: u64, seconds: u64) -> (u64, u64) {
        let (mut timed, mut stacks) = (0, 0);
        for poll in 0..polls * seconds {
            if sampling.is_due() {
                let (is_timed, has_stacks) = sampling.next(start_ns + poll * S / polls);
                timed += u64::from(is_timed);
                stacks += u64::from(has_stacks);
                if has_stacks {
                    sampling.pay(1);
                }
            }
        }
        (timed, stacks)
    }

    // One test: the budget of a process is one.
    #[test]
    fn stacks_keep_to_the_budget_and_timing_to_its_share() {
        let (timed, stacks) = run(&sampling(), S, 100_000, 1);
        assert!((timed as f64 - 6_250.0).abs() < 300.0, "{timed} of 100,000, wanted 1 in 16");
        assert_eq!(stacks, 0, "nobody asked for stacks");

        take_stacks(2_000);
        let slow = sampling();
        let (_, stacks) = run(&slow, S, 1_000, 5);
        assert_eq!(stacks, 5_000, "all polls where there are few");
        assert!(slow.has_units_left(6 * S));

        let fast = sampling();
        let (timed, stacks) = run(&fast, 10 * S, 1_000_000, 5);
        assert!((timed as f64 / 312_500.0 - 1.0).abs() < 0.05, "{timed}");
        assert!((6_000..=16_000).contains(&stacks), "the bucket and 2,000 a second: {stacks}");
        assert!(fast.has_units_left(15 * S), "a quarter is left for first polls");
        let later = run(&fast, 20 * S, 1_000_000, 4).1;
        assert!((4_000..=18_000).contains(&later), "spread over the time: {later}");

        take_stacks(u32::MAX / BUCKET_S);
        let given: u64 = (0..100).map(|thread| of_process(100 * S + thread, 50_000)).sum();
        assert!((PROCESS_UNITS..=PROCESS_UNITS + 1_000).contains(&given), "{given} for all threads");
        take_stacks(0);
    }
}
