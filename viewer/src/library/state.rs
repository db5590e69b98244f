//! How the sources are, in the few words that stand on top of every page.

use std::time::Duration;

use diag_analysis::human;
use serde::Serialize;

use super::Progress;

/// How the places are that snapshots come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SourceState {
    /// Running services.
    pub(crate) agents: Vec<AgentState>,
    /// Snapshots that could be read.
    pub(crate) snapshots: usize,
    /// How long ago the newest of them was taken; none without one.
    pub(crate) newest_age_ns: Option<u64>,
    /// Files and answers that could not be read.
    pub(crate) unreadable: usize,
    /// How much is read of what is new; none if nothing is.
    pub(crate) reading: Option<Progress>,
}

/// How a running service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AgentState {
    /// Host and port.
    pub(crate) address: String,
    /// How long ago it last gave a snapshot; none if it never did.
    pub(crate) age_ns: Option<u64>,
    /// Why it gives none now.
    pub(crate) problem: Option<String>,
}

/// What is to be done about it, as a class of the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Good,
    Doubt,
    Alarm,
}

impl SourceState {
    /// One phrase for each that there is something to say about: `live 3 s ago`, `3 files unreadable`.
    pub(crate) fn phrases(&self) -> Vec<(Weight, String)> {
        let unreadable = (self.unreadable > 0).then(|| {
            (Weight::Doubt, format!("{} unreadable", human::counted(self.unreadable as u64, "file")))
        });
        let reading = self.reading.map(|Progress { done, all }| {
            let (done, all) = (human::count(done), human::count(all));
            (Weight::Doubt, format!("reading {done} of {all}"))
        });
        let mut phrases: Vec<_> = self.agents.iter().map(AgentState::phrase).collect();
        if phrases.is_empty() && (reading.is_none() || self.snapshots > 0) {
            phrases.push(self.of_files());
        }
        phrases.into_iter().chain(reading).chain(unreadable).collect()
    }

    fn of_files(&self) -> (Weight, String) {
        match self.newest_age_ns {
            Some(age) => {
                let count = human::counted(self.snapshots as u64, "snapshot");
                (Weight::Good, format!("{count}, the newest {} old", human::duration(whole_seconds(age))))
            }
            None => (Weight::Doubt, "no snapshot".to_owned()),
        }
    }
}

impl AgentState {
    fn phrase(&self) -> (Weight, String) {
        let age = self.age_ns.map(|age| human::duration(whole_seconds(age)));
        match (age, self.problem.as_deref().map(cause)) {
            (Some(_), None) if self.age_ns < Some(1_000_000_000) => (Weight::Good, "live now".to_owned()),
            (Some(age), None) => (Weight::Good, format!("live {age} ago")),
            (Some(age), Some(cause)) => (Weight::Alarm, format!("stale {age}: {cause}")),
            (None, None) => (Weight::Doubt, format!("{} was not asked yet", self.address)),
            (None, Some(cause)) => (Weight::Alarm, cause.to_owned()),
        }
    }
}

/// The first part of a sentence that goes on with details and with what to do.
fn cause(problem: &str) -> &str {
    let end = [": ", "; "].iter().filter_map(|mark| problem.find(mark)).min();
    problem.get(..end.unwrap_or(problem.len())).unwrap_or(problem)
}

fn whole_seconds(ns: u64) -> u64 {
    let second = Duration::from_secs(1).as_nanos() as u64;
    ns - ns % second
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(age_s: Option<u64>, problem: Option<&str>) -> SourceState {
        let age_ns = age_s.map(|age| age * 1_000_000_000 + 5);
        let agent = AgentState { address: "here:1".to_owned(), age_ns, problem: problem.map(str::to_owned) };
        SourceState { agents: vec![agent], ..SourceState::default() }
    }

    fn check(state: &SourceState, expected: &[(Weight, &str)]) {
        let phrases = state.phrases();
        let phrases: Vec<_> = phrases.iter().map(|(weight, phrase)| (*weight, phrase.as_str())).collect();
        assert_eq!(phrases, expected);
    }

    #[test]
    fn a_service_is_live_or_stale() {
        check(&agent(Some(0), None), &[(Weight::Good, "live now")]);
        check(&agent(Some(3), None), &[(Weight::Good, "live 3 s ago")]);
        let problem = "nothing listens at here:1: refused; is it running?";
        check(&agent(Some(120), Some(problem)), &[(Weight::Alarm, "stale 2 min: nothing listens at here:1")]);
        check(&agent(None, Some(problem)), &[(Weight::Alarm, "nothing listens at here:1")]);
        check(&agent(None, None), &[(Weight::Doubt, "here:1 was not asked yet")]);
    }

    #[test]
    fn what_is_being_read_is_counted() {
        let reading = Some(Progress { done: 3, all: 50 });
        check(&SourceState { reading, ..SourceState::default() }, &[(Weight::Doubt, "reading 3 of 50")]);
        let phrases = SourceState { reading, snapshots: 1, ..agent(Some(3), None) }.phrases();
        assert_eq!(phrases.len(), 2, "{phrases:?}");
    }

    #[test]
    fn files_are_counted_and_so_are_those_that_cannot_be_read() {
        check(&SourceState::default(), &[(Weight::Doubt, "no snapshot")]);
        let state = SourceState {
            snapshots: 2,
            newest_age_ns: Some(840_000_000_000),
            unreadable: 3,
            ..SourceState::default()
        };
        check(
            &state,
            &[(Weight::Good, "2 snapshots, the newest 14 min old"), (Weight::Doubt, "3 files unreadable")],
        );
    }
}
