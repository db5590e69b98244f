//! `slow-polls`: polls that keep a worker for a moment each, again and again.
//!
//! None of them lasts long enough for a snapshot to meet it, as `blocked-executor` has to. The histogram of a site has them
//! all, and that of waiting tasks says whether it hurts.

use diag_snapshot::Micros;

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{CpuUse, Diff, Lifetimes, PollTimes, Site};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A poll that takes so long is slow.
    min_poll_s: Seconds = 0.1,
    /// So many of a site are many.
    min_polls: Count = 5,
    /// Together they take so large a part of the time.
    min_share: Share = 0.02,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "slow-polls";
    const CATEGORIES: &'static [Category] = &[Category::Runaway, Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] = &["blocked-executor"];
    const SAYS: &'static str = "polls keep their worker for long, again and again, and other tasks run late";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff.filter(|diff| diff.window_us > 0) else { return Vec::new() };
        let Some(times) = &diff.polls else { return Vec::new() };
        let found = times.sites.iter().filter_map(|(site, of_site)| {
            finding(diff, times, site, Slow::of(of_site, diff.window(), params)?, params)
        });
        found.collect()
    }
}

/// The slow polls of a site.
#[derive(Clone, Copy)]
struct Slow {
    polls: u64,
    /// How long they took together, at least.
    together: Micros,
}

impl Slow {
    fn of(times: &Lifetimes, window: Micros, params: &Params) -> Option<Slow> {
        let least = Micros::from_secs(params.min_poll_s);
        let slow = Slow { polls: times.count_from(least), together: times.sum_from(least) };
        let is_much = slow.together.0 as f64 >= window.0 as f64 * params.min_share;
        (slow.polls >= params.min_polls.max(1) && is_much).then_some(slow)
    }
}

/// What the slow polls did, as far as the times of the whole process tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Computing,
    Sleeping,
    /// The threads of the process were ready and got no CPU for as long.
    Starving,
    Unknown,
}

fn doing(cpu: Option<&CpuUse>, slow: Slow) -> Doing {
    let Some(cpu) = cpu else { return Doing::Unknown };
    let slow_ns = slow.together.as_nanos();
    let are_most = slow_ns.saturating_mul(2) >= cpu.in_polls.0;
    match () {
        () if cpu.waited().0.saturating_mul(2) >= slow_ns => Doing::Starving,
        () if !are_most => Doing::Unknown,
        () if cpu.ran.0.saturating_mul(2) >= slow_ns => Doing::Computing,
        () => Doing::Sleeping,
    }
}

/// None where the machine is to blame.
fn finding(diff: &Diff, times: &PollTimes, site: &Site, slow: Slow, params: &Params) -> Option<Finding> {
    let least = Micros::from_secs(params.min_poll_s);
    let delays = times.delays.count_from(least);
    let cpu = diff.cpu.as_ref();
    let (category, advice) = match doing(cpu, slow) {
        Doing::Starving => return None,
        Doing::Computing => (Category::Runaway, Advice::MoveWorkAway),
        Doing::Sleeping => (Category::Stuck, Advice::BlockElsewhere),
        Doing::Unknown => (Category::Stuck, Advice::LookAtThread),
    };
    let hurts = delays >= params.min_polls.max(1);
    let confidence = if hurts && cpu.is_some() { Confidence::Likely } else { Confidence::Possible };
    let mut evidence = vec![Evidence::SlowPolls {
        polls: slow.polls,
        least,
        together: slow.together,
        window: diff.window(),
    }];
    let mut counter_evidence = Vec::new();
    let delayed = Evidence::WokenTasksWaited { times: delays, least };
    if hurts {
        evidence.push(delayed)
    } else {
        counter_evidence.push(delayed)
    }
    counter_evidence.extend(cpu.is_none().then_some(Evidence::ThreadNotSeen));
    Some(Finding {
        count: Some(slow.polls),
        evidence,
        counter_evidence,
        ..Finding::new(Rule::NAME, category, confidence, Subject::from(site), advice, Risk::WorkerIsKept)
    })
}

const DOC: &str = "\
From the histograms of how long polls took and how long woken tasks waited for theirs, whose buckets double: a time counts by the
lower edge of its bucket. Polls of several milliseconds are counted one by one.

- **Found when**, between two snapshots, `min_polls` polls of the tasks of a site took `min_poll_s`, and all of these together
  `min_share` of the time. Closures on the threads for blocking work and time inside of `block_in_place` do not count.
- **Likely** when woken tasks waited for `min_poll_s` as often. **Possible** when nobody else was held up, or the snapshots do not have
  the times of threads, which tell a slow poll from a slow machine.
- **Runaway** when these polls are most of the time inside of polls and the process ran for half of it: they compute. **Stuck** when it
  did not: they block. It is **stuck** as well where that is not known.
- **Evidence**: how many they are, how long they took, who waited. **Counter-evidence**: that nobody did.
- **Disproved by** a second pair without them: work of a start is done once.
- **Silent twins**: a few slow polls in an hour, many short ones, `spawn_blocking` that computes, threads that were ready and got no CPU
  for half as long (`tests/slow_polls.rs`).
";
