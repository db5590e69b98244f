//! Which allocation is sampled: a Poisson process over the bytes that a thread allocates.
//!
//! Each thread counts down the bytes to its next sampling point, so the fast path is one subtraction
//! and one branch, also while sampling is off: then the countdown stands for [`RECHECK`] bytes, after
//! which the thread looks whether it has been turned on. The distances are exponential with the rate
//! as mean, hence a block of `s` bytes is sampled with probability `1 - exp(-s / rate)`, whatever was
//! allocated before. A change of rate takes effect at a thread's next sampling point, and a sample
//! carries the rate that its own countdown was drawn with.
//!
//! **Blocks that change their size** stay exact because points lie at *bytes*: a block is sampled if a point
//! lies in it, and the first one is known by its offset. Growth is charged with the bytes that are new, so
//! however a block grew, its points are those of a Poisson process over its bytes. A block that shrinks
//! loses the points in the bytes that it gives up, and a sample whose point is among them is none any more.
//! A Poisson process restricted to a part of its range is one of the same rate (Kingman, *Poisson Processes*,
//! 1993, 2.2), and new bytes get new points, independent of the old ones. So at any time a block of `s` bytes is a
//! sample with probability `1 - exp(-s / rate)`, grown again or not, moved or not, and a shrink keeps it with
//! `p(new) / p(old)`, without dice. Only the first point counts, hence growth of a block that has one is
//! not charged.
#![deny(clippy::disallowed_types, clippy::disallowed_macros, clippy::disallowed_methods)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::scratch;
use crate::core_layout::Table;

/// A rate that stands for "not sampling".
const OFF: u64 = u64::MAX;
/// How many bytes a thread allocates between two looks at the rate while sampling is off.
const RECHECK: i64 = 1 << 20;
/// The countdown of a hidden thread: always below 0, so that all its allocations take the slow path, where they are told
/// from those of others by this.
const HIDDEN: i64 = i64::MIN / 2;
/// The longest countdown that is drawn.
const LONGEST: i64 = i64::MAX / 4;
/// Odd, and its multiples visit all words: the increment of splitmix64 (Steele, Lea, Flood 2014).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

static RATE: AtomicU64 = AtomicU64::new(OFF);
static SEED: AtomicU64 = AtomicU64::new(GOLDEN);
static THREADS: AtomicU32 = AtomicU32::new(0);

/// Where the rate is said.
pub(crate) const fn rate_table() -> Table {
    Table::at("heap_rate", size_of::<AtomicU64>(), &[], (&raw const RATE).cast_mut().cast(), 1)
}

/// What a thread knows; plain cells without a destructor, readable at any time in a thread's life.
struct Thread {
    /// Bytes to the next look: below 0 the slow path runs. Starts at 0, so that the first allocation
    /// draws, and only then is applied.
    left: Cell<i64>,
    /// The rate that `left` was drawn with; `OFF` if it is no sampling point.
    rate: Cell<u64>,
    /// State of the generator; 0 before the first draw.
    random: Cell<u64>,
    /// 0 before the first sample.
    number: Cell<u32>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { left: Cell::new(0), rate: Cell::new(OFF), random: Cell::new(0), number: Cell::new(0) }
    };
}

/// Takes `bytes` off this thread's countdown; true if the slow path must look at it.
#[inline(always)]
pub(super) fn charge(bytes: usize) -> bool {
    THREAD.with(|thread| {
        let left = thread.left.get().wrapping_sub(bytes as i64);
        thread.left.set(left);
        left < 0
    })
}

/// A sampling point.
#[derive(Clone, Copy)]
pub(super) struct Point {
    /// The rate that it was drawn with; 0 if every block is recorded.
    pub(super) rate_bytes: u64,
    /// The byte that it lies at, of those that were charged.
    pub(super) offset: u64,
}

/// The countdown has run out with an allocation of `bytes`: the point in them, or `None` if there is
/// none. Sets the next countdown.
pub(super) fn decide(bytes: usize) -> Option<Point> {
    THREAD.with(|thread| {
        let rate = RATE.load(Ordering::Relaxed);
        let drawn = thread.rate.replace(rate);
        if rate == OFF {
            thread.left.set(RECHECK);
            return None;
        }
        if drawn != OFF {
            // What was left before these bytes were taken off.
            let offset = thread.left.get().wrapping_add(bytes as i64) as u64;
            thread.left.set(thread.draw(rate));
            return Some(Point { rate_bytes: drawn, offset });
        }
        // The first look of a thread, or since sampling was off, is no sampling point by itself.
        let offset = thread.draw(rate);
        let left = offset - bytes as i64;
        let sampled = left < 0;
        thread.left.set(if sampled { thread.draw(rate) } else { left });
        sampled.then_some(Point { rate_bytes: rate, offset: offset as u64 })
    })
}

/// Sets the rate for all threads, `None` is off. The calling thread takes it up at once, others
/// within [`RECHECK`] bytes or at their next sample.
pub(super) fn set_rate(rate_bytes: Option<u64>) {
    if rate_bytes.is_some() {
        // Runs of one program should not all sample the same blocks.
        SEED.fetch_xor(crate::clock::precise_ns().wrapping_mul(GOLDEN), Ordering::Relaxed);
    }
    RATE.store(rate_bytes.unwrap_or(OFF), Ordering::Relaxed);
    look_again();
}

/// Makes this thread take up the rate in force at its next allocation.
pub(super) fn look_again() {
    THREAD.with(|thread| {
        // A hidden thread stays hidden.
        if !is_hidden() {
            thread.left.set(0);
            thread.rate.set(OFF);
        }
    });
}

/// The rate in force; `None` if sampling is off.
pub(super) fn rate() -> Option<u64> {
    Some(RATE.load(Ordering::Relaxed)).filter(|&rate| rate != OFF)
}

/// A small number for this thread, given at its first sample.
pub(super) fn thread_number() -> u32 {
    THREAD.with(|thread| {
        if thread.number.get() == 0 {
            thread.number.set(THREADS.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        }
        thread.number.get()
    })
}

/// This thread's countdown, which every allocation through us changes.
pub(super) fn countdown() -> i64 {
    THREAD.with(|thread| thread.left.get())
}

/// True if this thread's allocations are the tool's own. It would have to allocate exabytes to be any other thread.
pub(super) fn is_hidden() -> bool {
    THREAD.with(|thread| thread.left.get() < HIDDEN / 2)
}

/// As [`hide_thread`], for work that takes much memory for a while: its large blocks are kept out of the service's
/// allocator as well (`scratch.rs`).
pub(crate) fn hide_capture() -> Hidden {
    scratch::prepare();
    hide_thread()
}

/// Keeps this thread's allocations out of the sample until dropped: they are the tool's own.
pub(crate) fn hide_thread() -> Hidden {
    Hidden { left: THREAD.with(|thread| thread.left.replace(HIDDEN)), not_send: PhantomData }
}

/// See [`hide_thread`].
#[must_use]
pub(crate) struct Hidden {
    left: i64,
    not_send: PhantomData<*const ()>,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.left.set(self.left));
    }
}

/// Makes the draws of this thread the same in each run, and those of threads that draw first after this, as
/// long as they do so in the same order.
pub(super) fn seed(seed: u64) {
    SEED.store(seed | 1, Ordering::Relaxed);
    THREAD.with(|thread| thread.random.set(0));
    look_again();
}

impl Thread {
    /// Bytes to the next sampling point: exponential with mean `rate`; 0 for rate 0, which records
    /// every block.
    fn draw(&self, rate: u64) -> i64 {
        let bytes = -ln_of_fraction(self.random()) * rate as f64;
        bytes.min(LONGEST as f64) as i64
    }

    /// splitmix64: one word of state, no allocation, good enough for one draw a sample.
    fn random(&self) -> u64 {
        let mut state = self.random.get();
        if state == 0 {
            state = mix(SEED.fetch_add(GOLDEN, Ordering::Relaxed)) | 1;
        }
        state = state.wrapping_add(GOLDEN);
        self.random.set(state);
        mix(state)
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// Natural logarithm of `(word + 1) / 2^64`, which lies in (0, 1], to nine digits.
///
/// Written out, because the hook must not depend on what a libm does behind its back. With the
/// mantissa m in [0.75, 1.5), ln m = 2 atanh(t) for t = (m - 1) / (m + 1), |t| <= 0.2: a series in t^2.
fn ln_of_fraction(word: u64) -> f64 {
    let value = (word | 1) as f64;
    let halved = value.to_bits() >> 51 & 1;
    let exponent = (value.to_bits() >> 52) as i64 - 1023 + halved as i64;
    let mantissa = f64::from_bits(value.to_bits() & ((1 << 52) - 1) | (1023 - halved) << 52);
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let squared = t * t;
    let series = (0..6).rev().fold(0.0, |sum, k| sum * squared + 2.0 / (2 * k + 1) as f64);
    (exponent - 64) as f64 * std::f64::consts::LN_2 + t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_agrees_with_the_standard_one() {
        let mut word = 1_u64;
        for _ in 0..1_000 {
            word = mix(word.wrapping_add(GOLDEN));
            for value in [word, word >> 20, word >> 50, 1, u64::MAX] {
                let expected = ((value | 1) as f64 / 2_f64.powi(64)).ln();
                assert!((ln_of_fraction(value) - expected).abs() < 1e-8, "ln of {value}");
            }
        }
    }

    #[test]
    fn draws_are_exponential() {
        let thread =
            Thread { left: Cell::new(0), rate: Cell::new(OFF), random: Cell::new(7), number: Cell::new(0) };
        const DRAWS: usize = 200_000;
        const RATE_BYTES: f64 = 524_288.0;
        let (mut sum, mut beyond) = (0.0, 0);
        for _ in 0..DRAWS {
            let bytes = thread.draw(RATE_BYTES as u64) as f64;
            sum += bytes;
            beyond += usize::from(bytes > RATE_BYTES);
        }
        // Standard error of the mean of 200,000 exponentials is 0.22 %; of a share of e^-1, 0.3 %.
        let (mean, beyond) = (sum / DRAWS as f64, beyond as f64 / DRAWS as f64);
        assert!((mean / RATE_BYTES - 1.0).abs() < 0.01, "mean {mean}");
        assert!((beyond - (-1_f64).exp()).abs() < 0.005, "share beyond the mean {beyond}");
        assert_eq!(thread.draw(0), 0, "rate 0 takes every block");
    }
}
