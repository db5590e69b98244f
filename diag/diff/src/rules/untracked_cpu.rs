//! `untracked-cpu`: a thread that never rests, outside of all polls that the recorder follows.
//!
//! A loop around a lock, a thread of the service's own, or a task that was not spawned by `diag::spawn` shows in no task. The
//! system knows how long each thread ran; even if all tracked polls had been its own, the rest is untracked.

use diag_snapshot::{Micros, Nanos};

use super::advice::Advice;
use super::evidence::Evidence;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use crate::diff::{CpuUse, ThreadUse};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A thread was on a CPU, or ready and without one, for so large a part of the time.
    min_awake_share: Share = 0.95,
    /// It ran for so large a part of the time.
    min_ran_share: Share = 0.3,
    /// And so large a part of that was outside of tracked polls.
    min_untracked_share: Share = 0.5,
    /// The snapshots are so far apart: work that computes may take a while.
    min_window_s: Seconds = 28.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "untracked-cpu";
    const CATEGORIES: &'static [Category] = &[Category::Runaway];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str = "a thread never rests, outside of all polls that the recorder follows";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.diff.filter(|diff| diff.window_us > 0) else { return Vec::new() };
        let window = diff.window();
        let Some(cpu) = diff.cpu.as_ref().filter(|_| window >= Micros::from_secs(params.min_window_s)) else {
            return Vec::new();
        };
        let mut findings: Vec<Finding> = Vec::new();
        for thread in cpu.threads.iter().filter(|thread| is_restless(cpu, thread, window, params)) {
            let subject = Subject::Thread(thread.name.clone());
            match findings.iter_mut().find(|finding| finding.subject == subject) {
                Some(known) => known.count = known.count.map(|count| count + 1),
                None => findings.push(finding(cpu, thread, subject, window)),
            }
        }
        findings
    }
}

/// What the runtime does for each poll, which is not inside of it.
const AROUND_A_POLL: Nanos = Nanos(2_000);

/// What may have been for tracked tasks.
fn tracked(cpu: &CpuUse) -> u64 {
    cpu.in_polls.0.saturating_add(cpu.polls.saturating_mul(AROUND_A_POLL.0))
}

fn is_restless(cpu: &CpuUse, thread: &ThreadUse, window: Micros, params: &Params) -> bool {
    let window_ns = window.as_nanos() as f64;
    let (ran, awake) = (thread.ran.0 as f64, thread.ran.0.saturating_add(thread.waited.0) as f64);
    let untracked = thread.ran.0.saturating_sub(tracked(cpu)) as f64;
    !thread.is_in_poll
        && awake >= window_ns * params.min_awake_share
        && ran >= window_ns * params.min_ran_share
        && untracked >= ran * params.min_untracked_share
}

fn finding(cpu: &CpuUse, thread: &ThreadUse, subject: Subject, window: Micros) -> Finding {
    let never_slept = Evidence::ThreadNeverSlept {
        ran: Micros(thread.ran.0 / 1_000),
        waited: Micros(thread.waited.0 / 1_000),
        window,
    };
    let polls = Evidence::AllTrackedPollsTook { busy: Micros(cpu.in_polls.0 / 1_000), polls: cpu.polls };
    let at = thread.at.clone().map(|at| Evidence::ThreadIsAt { at });
    Finding {
        count: Some(1),
        evidence: [Some(never_slept), Some(polls), at].into_iter().flatten().collect(),
        counter_evidence: vec![Evidence::ComputingLooksTheSame],
        ..Finding::new(
            Rule::NAME,
            Category::Runaway,
            Confidence::Possible,
            subject,
            Advice::ProfileTheCpu,
            Risk::CpuIsTaken,
        )
    }
}

const DOC: &str = "\
From the times that the system keeps of each thread, since format 1.6. Threads of the recorder are not looked at. Always **possible**.

- **Found when**, between two snapshots `min_window_s` apart, a thread was on a CPU or ready for `min_awake_share` of the time and ran
  for `min_ran_share` of it, and `min_untracked_share` of what it ran would be outside of tracked polls even if all of these had been its
  own: time inside of polls counts, what a poll waits for as well, and 2 µs around each. A thread on which a tracked poll is under
  way is left to the rules about polls.
- **Evidence**: for how long it ran, what all tracked polls took, where the thread is if the snapshot has its stack. **Counter-evidence**:
  that a thread which computes all the time looks the same.
- **Disproved by** a CPU profile that shows work.
- **Silent twins**: a thread that rests one part in ten, a busy worker of tracked tasks, a short burst of work
  (`tests/untracked_cpu.rs`).
";
