//! Whether two processes can be compared by their sizes.

use diag_analysis::Analysis;
use diag_analysis::site::Totals;
use diag_snapshot::Micros;

use super::TaskDiff;

/// What the sizes of two processes depend on besides their code: how long they had been up, and how much they had done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Likeness {
    /// How long each had been up.
    pub uptimes: [Micros; 2],
    /// How many tasks had been spawned in each, at the sites that both have and where tasks end in one of them at least:
    /// what a leak changes is how many ended, and what stays by design is no load.
    pub spawned: [u64; 2],
}

/// One is about as much as another up to so many times as much.
const ABOUT: f64 = 1.25;
/// Fewer tasks tell no load.
const MIN_SPAWNED: u64 = 20;

impl Likeness {
    pub(super) fn of(before: &Analysis, after: &Analysis, tasks: &TaskDiff) -> Self {
        let sides = tasks.sites.iter().map(|site| [&site.before.totals, &site.after.totals]);
        let is_load = |sides: &[&Totals; 2]| {
            sides.iter().all(|totals| totals.spawned > 0) && sides.iter().any(|totals| totals.ended() > 0)
        };
        let spawned = sides.filter(is_load).map(|sides| sides.map(|totals| totals.spawned));
        let spawned =
            spawned.fold([0u64; 2], |sum, more| [0, 1].map(|side| sum[side].saturating_add(more[side])));
        Likeness { uptimes: [before, after].map(|side| Micros(side.snapshot().capture.to_us)), spawned }
    }

    /// Returns true if the tasks that were spawned tell how much either had to do.
    pub fn has_load(&self) -> bool {
        self.spawned.into_iter().max() >= Some(MIN_SPAWNED)
    }

    /// Returns true if both had been up for about as long.
    pub fn is_same_uptime(&self) -> bool {
        let [before, after] = self.uptimes;
        is_about(before.0, after.0)
    }

    /// Returns true unless the tasks that were spawned tell that one had more to do.
    pub fn may_be_same_load(&self) -> bool {
        let [before, after] = self.spawned;
        !self.has_load() || is_about(before, after)
    }
}

fn is_about(one: u64, other: u64) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    more as f64 <= less as f64 * ABOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(uptimes: [u64; 2], spawned: [u64; 2]) -> Likeness {
        Likeness { uptimes: uptimes.map(Micros), spawned }
    }

    #[test]
    fn a_quarter_more_is_about_as_much() {
        assert!(likeness([100, 125], [0; 2]).is_same_uptime());
        assert!(!likeness([126, 100], [0; 2]).is_same_uptime());
        assert!(likeness([0; 2], [1_000, 800]).may_be_same_load());
        assert!(!likeness([0; 2], [100, 126]).may_be_same_load());
    }

    #[test]
    fn few_tasks_tell_no_load() {
        assert!(!likeness([0; 2], [1, 19]).has_load() && likeness([0; 2], [1, 19]).may_be_same_load());
        assert!(likeness([0; 2], [0, 20]).has_load() && !likeness([0; 2], [0, 20]).may_be_same_load());
    }
}
