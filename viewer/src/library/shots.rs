//! Snapshots fetched from one agent: the first, to compare with, the last few, and some between them.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use diag_analysis::human;
use diag_snapshot::Keep;
use hyper::body::Bytes;

use super::{AgentState, Origin, lock};
use crate::agent::Agent;

/// An answer that takes longer is not waited for: the page shows the last one and says so.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// As long as tasks may take to be polled, and the capture.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// A service is asked no more often, however often pages are loaded.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// Of a million tasks one has tens of megabytes.
const KEPT: usize = 8;
const NEWEST: usize = 3;
/// For so long after it answered a service is taken to be there.
const THERE_FOR: Duration = Duration::from_secs(1);
/// A page does not wait longer to learn whether anybody listens.
const KNOCK_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Shots {
    agent: Agent,
    token: Option<String>,
    /// Held while asking, so that pages loaded at once ask once.
    asking: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// With the time at which each came.
    shots: Vec<(Instant, (Origin, Bytes))>,
    taken: u64,
    /// When it was last known whether the service is there.
    tried: Option<Instant>,
    /// Why the last try brought nothing.
    problem: Option<String>,
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
        let answer = self.agent.snapshot(self.token.as_deref(), within, ask).await;
        let mut kept = lock(&self.kept);
        kept.tried(answer.as_ref().err());
        kept.add(self.agent.authority(), answer?, Instant::now());
        Ok(())
    }

    /// Whether it is there, of which one may be sure: it is knocked at unless it just answered.
    pub(super) async fn state(&self) -> AgentState {
        let is_sure = |kept: &Kept| kept.tried.is_some_and(|tried| tried.elapsed() < THERE_FOR);
        let (sure, was_refused) = {
            let kept = lock(&self.kept);
            (is_sure(&kept), kept.problem.is_some())
        };
        // That somebody listens does not mean that snapshots come: only a snapshot mends what went wrong.
        if !sure && !was_refused {
            let knocked = self.agent.knock(KNOCK_WITHIN).await;
            lock(&self.kept).tried(knocked.as_ref().err());
        }
        let kept = lock(&self.kept);
        AgentState {
            address: self.agent.authority().to_owned(),
            age_ns: kept.age().map(|age| age.as_nanos() as u64),
            problem: kept.problem.clone(),
        }
    }

    pub(super) fn bytes(&self, origin: &Origin) -> Option<Vec<u8>> {
        lock(&self.kept).all().find(|(other, _)| other == origin).map(|(_, bytes)| bytes.to_vec())
    }
}

impl Kept {
    /// How old the last answer is.
    fn age(&self) -> Option<Duration> {
        self.shots.last().map(|(answered, _)| answered.elapsed())
    }

    fn tried(&mut self, problem: Option<&String>) {
        (self.tried, self.problem) = (Some(Instant::now()), problem.cloned());
    }

    fn is_fresh(&self) -> bool {
        self.age().is_some_and(|age| age < FRESH_FOR)
    }

    fn add(&mut self, agent: &str, bytes: Bytes, now: Instant) {
        self.taken += 1;
        let origin = Origin::Shot { agent: agent.to_owned(), number: self.taken };
        self.shots.push((now, (origin, bytes)));
        let first = self.shots[0].0;
        let since_first = |shot: &(Instant, _)| shot.0.duration_since(first).as_millis() as u64;
        Keep::new(NEWEST, KEPT).thin(&mut self.shots, since_first);
    }

    fn stale(&self, error: &str) -> String {
        match self.age() {
            Some(age) => {
                let age = human::duration(age.as_nanos() as u64);
                format!("{error}; what is shown is stale, {age} old")
            }
            None => error.to_owned(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &(Origin, Bytes)> {
        self.shots.iter().map(|(_, shot)| shot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer every ten seconds.
    fn check(answers: u64, expected: &[u64]) {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let at = |answer| start + Duration::from_secs(10 * answer);
        (0..answers).for_each(|answer| kept.add("here:1", Bytes::new(), at(answer)));
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
    fn the_first_the_last_few_and_ever_fewer_between_stay() {
        check(0, &[]);
        check(1, &[1]);
        check(8, &[1, 2, 3, 4, 5, 6, 7, 8]);
        check(20, &[1, 9, 13, 15, 17, 18, 19, 20]);
    }

    #[test]
    fn a_silent_agent_leaves_the_last_answer_with_its_age() {
        let mut kept = Kept::default();
        assert_eq!(kept.stale("gone"), "gone");
        let then = Instant::now().checked_sub(Duration::from_secs(90)).expect("the machine is up for longer");
        kept.add("here:1", Bytes::new(), then);
        assert_eq!(kept.stale("gone"), "gone; what is shown is stale, 1.5 min old");
        assert!(!kept.is_fresh());
    }
}
