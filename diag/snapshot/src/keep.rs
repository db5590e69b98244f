//! Which members of a series are kept when there is no room for all.
//!
//! The first and the newest few stay. Of those between, the one goes that is missed least: gaps become ever wider
//! towards the past, each a like part of its age, so that there are pairs of every distance.

/// How many members of a series are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    newest: usize,
    most: usize,
}

impl Keep {
    /// Keeps at most so many, the newest few and the first in any case; it is at least these.
    pub fn new(newest: usize, most: usize) -> Self {
        let newest = newest.max(1);
        Keep { newest, most: most.max(newest + 1) }
    }

    /// Takes members out, which are in the order of time, until few enough are left; returns those.
    pub fn thin<M>(&self, members: &mut Vec<M>, taken_unix_us: impl Fn(&M) -> u64) -> Vec<M> {
        let mut gone = Vec::new();
        while members.len() > self.most {
            let times: Vec<u64> = members.iter().map(&taken_unix_us).collect();
            gone.push(members.remove(self.least_missed(&times)));
        }
        gone
    }

    /// The place of the member without which the gap is the smallest part of its age.
    fn least_missed(&self, times_us: &[u64]) -> usize {
        let last = times_us.last().copied().unwrap_or(0);
        let gap = |place: usize| {
            let (before, after) = (times_us[place - 1], times_us[place + 1]);
            after.saturating_sub(before) as f64 / last.saturating_sub(before).max(1) as f64
        };
        let between = 1..times_us.len().saturating_sub(self.newest);
        // Of equals the youngest goes: the older one stands for more time.
        between.rev().min_by(|&a, &b| gap(a).total_cmp(&gap(b))).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of so many that come one after the other.
    fn kept(keep: Keep, moments: u64) -> Vec<u64> {
        let mut members = Vec::new();
        for moment in 1..=moments {
            members.push(moment);
            keep.thin(&mut members, |&moment| moment);
        }
        members
    }

    #[test]
    fn few_are_all_kept() {
        assert_eq!(kept(Keep::new(2, 5), 5), [1, 2, 3, 4, 5]);
        assert!(Keep::new(2, 5).thin(&mut Vec::new(), |&moment| moment).is_empty());
        assert_eq!(Keep::new(0, 0), Keep::new(1, 2));
        assert_eq!(kept(Keep::new(0, 0), 9), [1, 9]);
    }

    #[test]
    fn the_first_and_the_newest_stay_and_gaps_widen_with_age() {
        for moments in [25, 100, 1_000, 5_000] {
            let kept = kept(Keep::new(6, 24), moments);
            assert_eq!((kept.len(), kept[0]), (24, 1));
            assert_eq!(kept[18..], (moments - 5..=moments).collect::<Vec<u64>>());
            for pair in kept.windows(2) {
                let age = moments - pair[0];
                assert!(pair[1] - pair[0] <= 1 + age * 3 / 4, "a gap in {kept:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_out_is_handed_over() {
        let mut members: Vec<u64> = (1..=8).collect();
        let gone = Keep::new(2, 5).thin(&mut members, |&moment| moment);
        assert_eq!((gone.len(), members.len()), (3, 5));
        assert!(gone.iter().all(|moment| !members.contains(moment)));
    }
}
