//! Snapshots of one service in the order of time: what every comparison is made of. A pair is a series of two.
//!
//! Processes may run side by side, as two builds do or many instances that write into one folder. The snapshots of each stay
//! together.

use std::collections::HashMap;

use diag_analysis::Analysis;

use crate::diff::NotComparable;

/// What a series must know of its members, so that a listing, which has not read them whole, is one as well.
pub trait Member {
    /// Returns the name of the service.
    fn service(&self) -> &str;
    /// Returns the number of the process, which no other has.
    fn instance(&self) -> u64;
    /// Returns when it was taken, microseconds since the Unix epoch.
    fn taken_unix_us(&self) -> u64;

    /// Returns for how long the process had been up, microseconds.
    fn uptime_us(&self) -> u64;
}

impl Member for Analysis {
    fn service(&self) -> &str {
        &self.snapshot().process.service
    }

    fn instance(&self) -> u64 {
        self.snapshot().process.instance
    }

    fn taken_unix_us(&self) -> u64 {
        self.snapshot().taken_unix_us()
    }

    fn uptime_us(&self) -> u64 {
        self.snapshot().capture.to_us
    }
}

impl<M: Member> Member for &M {
    fn service(&self) -> &str {
        (**self).service()
    }

    fn instance(&self) -> u64 {
        (**self).instance()
    }

    fn taken_unix_us(&self) -> u64 {
        (**self).taken_unix_us()
    }

    fn uptime_us(&self) -> u64 {
        (**self).uptime_us()
    }
}

/// Snapshots of one service in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series<M> {
    members: Vec<M>,
    /// Places of the members that are of another process than the one before.
    restarts: Vec<usize>,
}

impl<M: Member> Series<M> {
    /// Puts snapshots in the order of time, those of each process together, the process that was seen last at the end. Those
    /// taken at one moment stay in the order given.
    ///
    /// # Errors
    /// [`NotComparable`] if they are of several services.
    pub fn new(mut members: Vec<M>) -> Result<Self, NotComparable> {
        members.sort_by_key(Member::taken_unix_us);
        Self::as_given(members)
    }

    /// Takes snapshots in the order given, whenever they were taken, those of each process together.
    ///
    /// # Errors
    /// [`NotComparable`] if they are of several services.
    pub fn as_given(members: Vec<M>) -> Result<Self, NotComparable> {
        let pairs = || members.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
        if let Some((before, after)) = pairs().find(|(before, after)| before.service() != after.service()) {
            let (before, after) = (before.service().to_owned(), after.service().to_owned());
            return Err(NotComparable::Service { before, after });
        }
        let members = by_process(members);
        let pairs = || members.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
        let is_restart = |(_, (before, after)): &(usize, (&M, &M))| before.instance() != after.instance();
        let restarts = (1..).zip(pairs()).filter(is_restart).map(|(place, _)| place).collect();
        Ok(Series { members, restarts })
    }

    /// Sorts snapshots to their services, which come in the order of their names.
    pub fn by_service(members: Vec<M>) -> Vec<Self> {
        let mut services: Vec<Vec<M>> = Vec::new();
        for member in members {
            match services
                .binary_search_by(|known| known.first().map_or("", Member::service).cmp(member.service()))
            {
                Ok(place) => services[place].push(member),
                Err(place) => services.insert(place, vec![member]),
            }
        }
        services.into_iter().filter_map(|members| Series::new(members).ok()).collect()
    }

    /// Returns all of them.
    pub fn members(&self) -> &[M] {
        &self.members
    }

    /// Returns the places of the members that are of another process than the one before.
    pub fn restarts(&self) -> &[usize] {
        &self.restarts
    }

    /// Returns the members of each process, in order.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &[M]> {
        let starts = std::iter::once(0).chain(self.restarts.iter().copied());
        let ends = self.restarts.iter().copied().chain([self.members.len()]);
        let runs: Vec<(usize, usize)> = starts.zip(ends).collect();
        runs.into_iter().filter_map(|(start, end)| self.members.get(start..end))
    }

    /// Returns the first and the last member; none of fewer than two.
    pub fn ends(&self) -> Option<(&M, &M)> {
        let (last, before) = self.members.split_last()?;
        Some((before.first()?, last))
    }

    /// Returns the two members that stand for the series where a pair is wanted: the newest, and the oldest of its
    /// process, or of the series if its process has no other. None of fewer than two.
    pub fn span(&self) -> Option<(&M, &M)> {
        let (newest, before) = self.members.split_last()?;
        let of_run = before.iter().find(|member| member.instance() == newest.instance());
        Some((of_run.or_else(|| before.first())?, newest))
    }
}

/// The members of each process together, in their order; the processes in that of their last members.
fn by_process<M: Member>(mut members: Vec<M>) -> Vec<M> {
    let places = members.iter().enumerate().map(|(place, member)| (member.instance(), place));
    let last: HashMap<u64, usize> = places.collect();
    members.sort_by_key(|member| last.get(&member.instance()).copied());
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Shot(&'static str, u64, u64);

    impl Member for Shot {
        fn service(&self) -> &str {
            self.0
        }

        fn instance(&self) -> u64 {
            self.1
        }

        fn taken_unix_us(&self) -> u64 {
            self.2
        }

        fn uptime_us(&self) -> u64 {
            self.2
        }
    }

    #[test]
    fn restarts_part_a_series_into_runs() {
        let shots = vec![Shot("a", 2, 40), Shot("a", 1, 10), Shot("a", 2, 30), Shot("a", 1, 20)];
        let series = Series::new(shots).expect("one service");
        assert_eq!(series.restarts(), [2]);
        let runs: Vec<Vec<u64>> = series.runs().map(|run| run.iter().map(|shot| shot.2).collect()).collect();
        assert_eq!(runs, [[10, 20], [30, 40]]);
        assert_eq!(series.span(), Some((&Shot("a", 2, 30), &Shot("a", 2, 40))));
    }

    #[test]
    fn processes_side_by_side_are_two_runs() {
        let shots =
            vec![Shot("a", 1, 10), Shot("a", 2, 11), Shot("a", 1, 20), Shot("a", 2, 21), Shot("a", 1, 30)];
        let series = Series::new(shots).expect("one service");
        let runs: Vec<Vec<u64>> = series.runs().map(|run| run.iter().map(|shot| shot.2).collect()).collect();
        assert_eq!((runs, series.restarts()), (vec![vec![11, 21], vec![10, 20, 30]], &[2][..]));
    }

    #[test]
    fn a_process_of_one_snapshot_is_set_against_the_oldest_of_all() {
        let shots = vec![Shot("a", 1, 10), Shot("a", 1, 20), Shot("a", 2, 30)];
        let series = Series::new(shots).expect("one service");
        assert_eq!(series.span(), Some((&Shot("a", 1, 10), &Shot("a", 2, 30))));
        assert_eq!(Series::new(vec![Shot("a", 1, 10)]).expect("one service").span(), None);
        assert_eq!(Series::<Shot>::new(Vec::new()).expect("none").runs().count(), 1);
    }

    #[test]
    fn a_pair_stays_as_it_was_given() {
        let series = Series::as_given(vec![Shot("a", 1, 20), Shot("a", 1, 10)]).expect("one service");
        assert_eq!(series.ends(), Some((&Shot("a", 1, 20), &Shot("a", 1, 10))));
        let refusal = NotComparable::Service { before: "a".to_owned(), after: "b".to_owned() };
        assert_eq!(Series::as_given(vec![Shot("a", 1, 1), Shot("b", 1, 2)]), Err(refusal));
    }

    #[test]
    fn services_are_told_apart() {
        let shots = vec![Shot("b", 3, 5), Shot("a", 1, 20), Shot("b", 3, 1), Shot("a", 1, 10)];
        let series = Series::by_service(shots);
        let names: Vec<(&str, usize)> =
            series.iter().map(|series| (series.members()[0].0, series.members().len())).collect();
        assert_eq!(names, [("a", 2), ("b", 2)]);
        assert_eq!(series[1].members()[0].2, 1);
    }
}
