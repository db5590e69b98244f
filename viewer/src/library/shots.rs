//! Snapshots fetched from one agent: the first, to compare with, the last few, and some between them, ever fewer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diag_analysis::human;
use diag_snapshot::Keep;
use hyper::body::Bytes;

use super::files::Files;
use super::fuse::Fuse;
use super::{AgentState, Origin, blocking, lock};
use crate::agent::Agent;
use crate::cpu_profile::CpuProfile;

/// An answer that takes longer is not waited for: the page shows the last one and says so.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// As long as tasks may take to be polled, and the capture.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// A service is asked no more often, however often pages are loaded.
const FRESH_FOR: Duration = Duration::from_secs(2);
/// Of a million tasks one has tens of megabytes.
const KEPT: usize = 60;
const NEWEST: usize = 8;
/// All together take no more, whatever their number, but for the newest few.
const KEPT_BYTES: u64 = 512 << 20;
/// So long is waited before each of two more tries in the background.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// For so long after it answered a service is taken to be there.
const THERE_FOR: Duration = Duration::from_secs(1);
/// A page does not wait longer to learn whether anybody listens.
const KNOCK_WITHIN: Duration = Duration::from_secs(1);

/// When it came, and what it is.
type Shot = (Instant, (Origin, Bytes));

/// Takes out of what is in the order of time the members that are missed least, until few and small enough are left.
pub(super) fn thin<M>(members: &mut Vec<M>, at: impl Fn(&M) -> u64, bytes: impl Fn(&M) -> u64) -> Vec<M> {
    let mut gone = Keep::new(NEWEST, KEPT).thin(members, &at);
    while members.len() > NEWEST + 1 && members.iter().map(&bytes).sum::<u64>() > KEPT_BYTES {
        gone.extend(Keep::new(NEWEST, members.len() - 1).thin(members, &at));
    }
    gone
}

pub(super) struct Shots {
    agent: Agent,
    token: Option<String>,
    /// Where they are kept too.
    files: Option<Files>,
    /// Held while asking, so that pages loaded at once ask once.
    asking: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// With the time at which each came.
    shots: Vec<Shot>,
    taken: u64,
    fuse: Fuse,
    /// When it was last known whether the service is there.
    tried: Option<Instant>,
    /// Why the last try brought nothing.
    problem: Option<String>,
}

impl Shots {
    pub(super) fn new(agent: Agent, token: Option<String>, folder: Option<PathBuf>) -> Self {
        let files = folder.map(|folder| Files::new(&folder, agent.authority()));
        Shots { agent, token, files, asking: tokio::sync::Mutex::default(), kept: Mutex::default() }
    }

    /// Takes a new one unless the last is new enough. Says what went wrong.
    pub(super) async fn refresh(self: Arc<Self>) -> Option<String> {
        let _asking = self.asking.lock().await;
        if lock(&self.kept).is_fresh() {
            return None;
        }
        let error = self.fetch(ANSWER_WITHIN, false).await.err()?;
        Some(lock(&self.kept).stale(&error))
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        self.agent.authority()
    }

    /// All that is kept.
    pub(super) fn all(&self) -> Vec<(Origin, Bytes)> {
        lock(&self.kept).all().cloned().collect()
    }

    /// Takes a new one, whenever the last came. Who waits for no page tries again a little later.
    pub(super) async fn poll(&self) {
        for gap in RETRY_AFTER.into_iter().map(Some).chain([None]) {
            let asking = self.asking.lock().await;
            let taken = self.fetch(ANSWER_WITHIN, false).await;
            drop(asking);
            match gap {
                Some(gap) if taken.is_err() => tokio::time::sleep(gap).await,
                _ => return,
            }
        }
    }

    /// Takes a new one now, and says why there is none.
    pub(super) async fn take(&self) -> Result<(), String> {
        let _asking = self.asking.lock().await;
        self.fetch(ANSWER_WITHIN, false).await
    }

    /// Takes a new one for which the service's memory is swept.
    pub(super) async fn sweep(&self) -> Result<(), String> {
        let _asking = self.asking.lock().await;
        self.may_ask()?;
        let answer = self.agent.holders(self.token.as_deref(), ASKED_WITHIN).await;
        self.keep(answer).await
    }

    /// Takes a new one for which the service's idle tasks are polled.
    pub(super) async fn ask(&self) -> Result<(), String> {
        let _asking = self.asking.lock().await;
        self.fetch(ASKED_WITHIN, true).await
    }

    /// Has the CPU profiled for so long, and then takes a new one, which has it.
    pub(super) async fn profile(&self, seconds: u64) -> Result<(), String> {
        // Pages go on asking meanwhile.
        let profile = CpuProfile::take(&self.agent, self.token.as_deref(), ASKED_WITHIN, seconds).await?;
        let _asking = self.asking.lock().await;
        self.fetch_with(Some(profile), ASKED_WITHIN, false).await
    }

    async fn fetch(&self, within: Duration, ask: bool) -> Result<(), String> {
        self.fetch_with(None, within, ask).await
    }

    async fn fetch_with(
        &self,
        profile: Option<CpuProfile>,
        within: Duration,
        ask: bool,
    ) -> Result<(), String> {
        self.may_ask()?;
        let mut answer = self.agent.snapshot(self.token.as_deref(), within, ask).await;
        if let (Some(profile), Ok(bytes)) = (profile, &answer) {
            let bytes = bytes.clone();
            let added = blocking(move || profile.added_to(&bytes)).await;
            answer = added.unwrap_or_else(|_| Err("the CPU profile could not be added".to_owned()));
        }
        self.keep(answer).await
    }

    /// Fails while it has failed too often.
    fn may_ask(&self) -> Result<(), String> {
        let (closed_in, problem) = {
            let kept = lock(&self.kept);
            (kept.fuse.closes_in(Instant::now()), kept.problem.clone().unwrap_or_default())
        };
        match closed_in {
            Some(wait) => {
                let wait = human::duration(wait.as_nanos() as u64);
                Err(format!("{problem}; it failed too often and is asked again in {wait}"))
            }
            None => Ok(()),
        }
    }

    async fn keep(&self, answer: Result<Bytes, String>) -> Result<(), String> {
        {
            let mut kept = lock(&self.kept);
            kept.fuse.answered(answer.is_err(), Instant::now());
            kept.tried(answer.as_ref().err());
            kept.add(self.agent.authority(), answer.clone()?, Instant::now());
        }
        if let (Some(files), Ok(bytes)) = (self.files.clone(), answer) {
            let written = blocking(move || files.write(&bytes)).await;
            // It stays in memory all the same.
            lock(&self.kept).problem = written.ok().and_then(Result::err);
        }
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
        let since_first = |shot: &Shot| shot.0.duration_since(first).as_millis() as u64;
        thin(&mut self.shots, since_first, |(_, (_, bytes))| bytes.len() as u64);
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
        assert_eq!(kept_of(answers), expected, "after {answers} answers");
    }

    fn kept_of(answers: u64) -> Vec<u64> {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let at = |answer| start + Duration::from_secs(10 * answer);
        (0..answers).for_each(|answer| kept.add("here:1", Bytes::new(), at(answer)));
        kept.all().map(|(origin, _)| number(origin)).collect()
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
        check(60, &(1..=60).collect::<Vec<u64>>());
        let kept = kept_of(4000);
        assert_eq!((kept.len(), kept[0]), (60, 1));
        assert_eq!(kept[52..], (3993..=4000).collect::<Vec<u64>>());
        let gaps: Vec<u64> = kept[1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[0] > 100 && gaps[40] < gaps[0], "gaps are wider towards the past: {gaps:?}");
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
