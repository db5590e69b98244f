//! `blocked-executor`: a poll that does not return and keeps a worker from all other tasks.
//!
//! How long the poll has been under way is a fact; why, the look at its thread says: on a CPU it
//! computes, asleep it sits in a blocking call, ready without a CPU the machine is short of them, and
//! then the task is not to blame. The look is short, and what the kernel has counted for the thread since an
//! earlier snapshot has the whole poll: what is left without the time for which it may have had no CPU has to
//! be long by itself. Closures on the threads for blocking work are there to block, and so
//! is what runs inside of `block_in_place`.

use diag_snapshot::{Micros, SiteKind, ThreadRow};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{Conditions, Polling, SiteConditions};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A poll may take so long.
    min_poll_s: Seconds = 1.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "blocked-executor";
    const CATEGORIES: &'static [Category] = &[Category::Runaway, Category::Stuck];
    const NEEDS: Needs = Needs::OneSnapshot;
    const SAYS: &'static str = "a poll does not return, and the tasks of its worker wait";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let all = facts.now.sites.iter().flat_map(|site| &site.polling);
        let starving = all.filter(|polling| doing(polling, params) == Doing::Starving);
        let starving = starving.max_by_key(|polling| polling.for_us);
        let sites = facts.now.sites.iter();
        let sites = sites.filter(|site| matches!(site.kind, SiteKind::Task | SiteKind::Local));
        sites.filter_map(|site| finding(facts.now, site, starving, params)).collect()
    }
}

/// What the thread of a poll does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    Computing,
    Sleeping,
    /// Ready to run, but without a CPU for most of the time.
    Starving,
    Unknown,
}

fn doing(polling: &Polling, params: &Params) -> Doing {
    let least_us = Micros::from_secs(params.min_poll_s).0;
    if polling.for_us >= least_us && takes_us(polling) < least_us {
        return Doing::Starving;
    }
    polling.thread.as_ref().map_or(Doing::Unknown, of_thread)
}

fn of_thread(thread: &ThreadRow) -> Doing {
    let share = |us: Option<u64>| match (us, thread.watched_us) {
        (Some(us), Some(watched_us)) if watched_us > 0 => us as f64 / watched_us as f64,
        _ => 0.0,
    };
    let (on_cpu, waits) = (share(thread.cpu_us), share(thread.wait_us));
    match thread.state {
        _ if waits > 0.5 => Doing::Starving,
        _ if on_cpu > 0.5 => Doing::Computing,
        Some('S' | 'D') => Doing::Sleeping,
        // The kernel counts a wait when it ends.
        Some('R') if thread.cpu_us == Some(0) && thread.watched_us > Some(0) => Doing::Starving,
        Some('R') => Doing::Computing,
        _ => Doing::Unknown,
    }
}

/// How long the poll has taken, without the time for which it may have had no CPU. Of a thread that was looked at only its own
/// time counts.
fn takes_us(polling: &Polling) -> u64 {
    polling.for_us.saturating_sub(without_cpu_us(polling).unwrap_or(0))
}

fn without_cpu_us(polling: &Polling) -> Option<u64> {
    polling.without_cpu_us.or(polling.cpu_short_us.filter(|_| polling.thread.is_none()))
}

/// `starving` is the poll of the process that has lacked a CPU for longest: who sleeps meanwhile may wait for it, in a lock for
/// instance.
fn finding(
    now: &Conditions,
    site: &SiteConditions,
    starving: Option<&Polling>,
    params: &Params,
) -> Option<Finding> {
    let least_us = Micros::from_secs(params.min_poll_s).0;
    let is_long = |polling: &&Polling| polling.for_us >= least_us && !polling.in_place;
    let long: Vec<&Polling> = site.polling.iter().filter(is_long).collect();
    // One that takes long with a CPU speaks for the site, if there is one.
    let longest = *long.iter().max_by_key(|polling| (takes_us(polling) >= least_us, polling.for_us))?;
    let doing = doing(longest, params);
    let behind = starving.filter(|other| doing == Doing::Sleeping && other.for_us >= longest.for_us / 2);
    let (category, confidence) = match doing {
        Doing::Computing => (Category::Runaway, Confidence::Proven),
        Doing::Sleeping if behind.is_none() => (Category::Stuck, Confidence::Proven),
        Doing::Sleeping | Doing::Starving => (Category::Stuck, Confidence::Possible),
        Doing::Unknown => (Category::Stuck, Confidence::Likely),
    };
    let labels = now.labels.among(long.iter().map(|polling| polling.task));
    let subject = Subject::from(&site.site);
    Some(Finding {
        since: ago(now, longest.for_us),
        count: Some(long.len() as u64),
        evidence: evidence(now, longest, doing).into_iter().chain(labelled(&labels)).collect(),
        counter_evidence: counter_evidence(
            now,
            behind.unwrap_or(longest),
            behind.map_or(doing, |_| Doing::Starving),
        ),
        held_by: longest.thread.map(|thread| Holder::Thread { thread: thread.tid, at: longest.at.clone() }),
        ..Finding::new(Rule::NAME, category, confidence, subject, advice(doing), Risk::WorkerIsKept)
    })
}

fn evidence(now: &Conditions, polling: &Polling, doing: Doing) -> Vec<Evidence> {
    let lasted = Micros(polling.for_us);
    let mut evidence = vec![match doing {
        Doing::Sleeping => Evidence::PollAsleep { lasted },
        _ => Evidence::PollUnderWay { lasted },
    }];
    evidence.extend(polling.thread.as_ref().and_then(on_cpu));
    if now.woken > 0 {
        evidence.push(Evidence::TasksAwaitWorker { tasks: now.woken, longest: Micros(now.woken_longest_us) });
    }
    evidence
}

fn on_cpu(thread: &ThreadRow) -> Option<Evidence> {
    let (on_cpu, watched) = times(thread, thread.cpu_us)?;
    Some(Evidence::ThreadOnCpu { thread: thread.tid, on_cpu, watched })
}

fn counter_evidence(now: &Conditions, polling: &Polling, doing: Doing) -> Vec<Evidence> {
    if doing == Doing::Unknown {
        return vec![Evidence::ThreadNotSeen];
    }
    let throttled = now.throttled_us.filter(|&us| us > 0);
    let meanwhile = (doing == Doing::Starving).then(|| without_cpu_meanwhile(polling)).flatten();
    let watched = polling.thread.as_ref().and_then(without_cpu);
    meanwhile
        .into_iter()
        .chain(watched)
        .chain(throttled.map(|us| Evidence::Throttled { since_start: Micros(us) }))
        .collect()
}

/// In all of the poll.
fn without_cpu_meanwhile(polling: &Polling) -> Option<Evidence> {
    let lasted = Micros(polling.for_us);
    let waited = Micros(without_cpu_us(polling).filter(|&us| us > 0)?);
    let of_thread = polling.tid.filter(|_| polling.without_cpu_us.is_some());
    Some(match of_thread {
        Some(thread) => Evidence::ThreadWithoutCpu { thread, waited, watched: lasted },
        None => Evidence::CpuWasShort { waited, of: lasted },
    })
}

fn without_cpu(thread: &ThreadRow) -> Option<Evidence> {
    let (waited, watched) = times(thread, thread.wait_us)?;
    Some(Evidence::ThreadWithoutCpu { thread: thread.tid, waited, watched })
}

/// This much of the time that a thread was watched.
fn times(thread: &ThreadRow, us: Option<u64>) -> Option<(Micros, Micros)> {
    us.filter(|&us| us > 0).map(Micros).zip(thread.watched_us.map(Micros))
}

fn advice(doing: Doing) -> Advice {
    match doing {
        Doing::Computing => Advice::MoveWorkAway,
        Doing::Sleeping => Advice::BlockElsewhere,
        Doing::Starving => Advice::GiveCpu,
        Doing::Unknown => Advice::LookAtThread,
    }
}

const DOC: &str = "\
- **Found when** a poll of a task has been under way for `min_poll_s`. Closures on the threads for blocking work are
  there to block and are not judged.
- **Runaway, proven** when its thread runs on a CPU. **Stuck, proven** when it is asleep in the kernel: a blocking call or
  lock. **Stuck, likely** when the thread was not looked at. **Stuck, possible** when the thread was ready and got no CPU for
  most of the time it was watched (or for all of it, as far as the kernel has counted), when another long poll of the process was so
  meanwhile, which a sleeper may wait for, or when the poll took less than `min_poll_s` without the time for which its thread may have had
  none: then the machine, or a limit of the cgroup, is to blame. That time is what the kernel counted for the thread since an earlier
  snapshot; of a thread that was not looked at and one snapshot, the pressure of the last ten seconds.
- **Evidence**: how long, where, times on the CPU, woken tasks that wait. **Counter-evidence**: time without a CPU,
  throttling by the cgroup.
- **Silent twins**: a long sum of short polls; `spawn_blocking` that sleeps; a thread that is inside of `block_in_place`.
";
