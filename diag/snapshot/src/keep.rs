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

    /// Takes members out, which are in the order of time, until few enough are left; returns those. The times may have any
    /// unit.
    pub fn thin<M>(&self, members: &mut Vec<M>, taken: impl Fn(&M) -> u64) -> Vec<M> {
        self.thin_besides(members, taken, |_| false)
    }

    /// [`thin`](Keep::thin), with members that stay in any case: more than are kept, if there are so many of these.
    pub fn thin_besides<M>(
        &self,
        members: &mut Vec<M>,
        taken: impl Fn(&M) -> u64,
        stays: impl Fn(&M) -> bool,
    ) -> Vec<M> {
        let mut gone = Vec::new();
        while members.len() > self.most
            && let Some(place) = self.least_missed(members, &taken, &stays)
        {
            gone.push(members.remove(place));
        }
        gone
    }

    /// The place of the member without which the gap is the smallest part of its age.
    fn least_missed<M>(
        &self,
        members: &[M],
        taken: impl Fn(&M) -> u64,
        stays: impl Fn(&M) -> bool,
    ) -> Option<usize> {
        let last = taken(members.last()?);
        let gap = |place: usize| {
            let (before, after) = (taken(&members[place - 1]), taken(&members[place + 1]));
            after.saturating_sub(before) as f64 / last.saturating_sub(before).max(1) as f64
        };
        let between = (1..members.len().saturating_sub(self.newest)).filter(|&place| !stays(&members[place]));
        // Of equals the youngest goes: the older one stands for more time.
        between.rev().min_by(|&a, &b| gap(a).total_cmp(&gap(b)))
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
    fn what_has_to_stay_does() {
        let thinned = |stays: fn(&u64) -> bool| {
            let mut members: Vec<u64> = (1..=8).collect();
            Keep::new(2, 4).thin_besides(&mut members, |&moment| moment, stays);
            members
        };
        assert!(thinned(|&moment| moment == 5).contains(&5));
        assert_eq!(thinned(|_| true).len(), 8);
        assert_eq!(thinned(|&moment| moment <= 6), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(thinned(|&moment| moment <= 4), [1, 2, 3, 4, 7, 8]);
    }

    #[test]
    fn what_is_taken_out_is_handed_over() {
        let mut members: Vec<u64> = (1..=8).collect();
        let gone = Keep::new(2, 5).thin(&mut members, |&moment| moment);
        assert_eq!((gone.len(), members.len()), (3, 5));
        assert!(gone.iter().all(|moment| !members.contains(moment)));
    }
}
