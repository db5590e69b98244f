//! Snapshots fetched from one agent: the first, to compare with, and the last few.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use diag_analysis::human;
use hyper::body::Bytes;

use super::{Origin, lock};
use crate::agent::Agent;

/// An answer that takes longer is not waited for: the page shows the last one and says so.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// As long as tasks may take to be polled, and the capture.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// A service is asked no more often, however often pages are loaded.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// Kept besides the first.
const KEPT: usize = 7;

pub(super) struct Shots {
    agent: Agent,
    token: Option<String>,
    /// Held while asking, so that pages loaded at once ask once.
    asking: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    first: Option<(Origin, Bytes)>,
    last: VecDeque<(Origin, Bytes)>,
    taken: u64,
    answered: Option<Instant>,
}

impl Shots {
    pub(super) fn new(agent: Agent, token: Option<String>) -> Self {
        Shots { agent, token, asking: tokio::sync::Mutex::default(), kept: Mutex::default() }
    }

    /// All that is kept, a new one among them unless the last is new enough; and what went wrong.
    pub(super) async fn refreshed(&self) -> (Vec<(Origin, Bytes)>, Option<String>) {
        let _asking = self.asking.lock().await;
        let mut problem = None;
        if !lock(&self.kept).is_fresh() {
            problem = self.fetch(ANSWER_WITHIN, false).await.err();
            problem = problem.map(|error| lock(&self.kept).stale(&error));
        }
        let kept = lock(&self.kept);
        (kept.all().cloned().collect(), problem)
    }

    /// Takes a new one for which the service's idle tasks are polled.
    pub(super) async fn ask(&self) -> Result<(), String> {
        let _asking = self.asking.lock().await;
        self.fetch(ASKED_WITHIN, true).await
    }

    async fn fetch(&self, within: Duration, ask: bool) -> Result<(), String> {
        let bytes = self.agent.snapshot(self.token.as_deref(), within, ask).await?;
        lock(&self.kept).add(self.agent.authority(), bytes);
        Ok(())
    }

    pub(super) fn bytes(&self, origin: &Origin) -> Option<Vec<u8>> {
        lock(&self.kept).all().find(|(other, _)| other == origin).map(|(_, bytes)| bytes.to_vec())
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.answered.is_some_and(|answered| answered.elapsed() < FRESH_FOR)
    }

    fn add(&mut self, agent: &str, bytes: Bytes) {
        self.taken += 1;
        self.answered = Some(Instant::now());
        let shot = (Origin::Shot { agent: agent.to_owned(), number: self.taken }, bytes);
        if self.first.is_none() {
            self.first = Some(shot);
            return;
        }
        self.last.push_back(shot);
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }

    fn stale(&self, error: &str) -> String {
        let age = self.answered.map(|answered| answered.elapsed().as_nanos() as u64);
        match age {
            Some(age) => format!("{error}; what is shown is stale, {} old", human::duration(age)),
            None => error.to_owned(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &(Origin, Bytes)> {
        self.first.iter().chain(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: usize, expected: &[u64]) {
        let mut kept = Kept::default();
        (0..answers).for_each(|_| kept.add("here:1", Bytes::new()));
        let numbers: Vec<u64> = kept.all().map(|(origin, _)| number(origin)).collect();
        assert_eq!(numbers, expected, "after {answers} answers");
    }

    fn number(origin: &Origin) -> u64 {
        match origin {
            Origin::Shot { number, .. } => *number,
            Origin::File { .. } => 0,
        }
    }

    #[test]
    fn the_first_stays_and_the_last_few() {
        check(0, &[]);
        check(1, &[1]);
        check(8, &[1, 2, 3, 4, 5, 6, 7, 8]);
        check(20, &[1, 14, 15, 16, 17, 18, 19, 20]);
    }

    #[test]
    fn a_silent_agent_leaves_the_last_answer_with_its_age() {
        let mut kept = Kept::default();
        assert_eq!(kept.stale("gone"), "gone");
        kept.add("here:1", Bytes::new());
        kept.answered = Instant::now().checked_sub(Duration::from_secs(90));
        assert_eq!(kept.stale("gone"), "gone; what is shown is stale, 1.5 min old");
        assert!(!kept.is_fresh());
    }
}
