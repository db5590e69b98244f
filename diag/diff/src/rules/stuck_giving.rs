//! `stuck-giving`: a task that waits for what another part of the service has to take or to give back, and does not.
//!
//! Waits have a direction. A task in `recv` may wait for ever and be healthy; one in `send`, or queued for a lock, a permit
//! or a connection of a pool, has work in hand, and whoever has what it needs is to move. One such task is enough: all
//! that pile up behind it are its victims. An end is given as well: who waits for that of a task, and did not from the
//! start, has asked for it, and those before it ended when they were asked.

mod ending;

use diag_analysis::holders::Certainty;
use diag_analysis::holding::HolderOfWaiters;
use diag_snapshot::{Micros, TaskId};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::finding::{Category, Confidence, Finding, ago};
use super::holder::Holder;
use super::params::params;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{Giving, GivingTask};

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// Idle for so long.
    min_idle_s: Seconds = 10.0,
    /// And for so many times the mean pause between its earlier polls, or the usual lifetime of its site if it had none.
    min_pauses: Factor = 100.0,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "stuck-giving";
    const CATEGORIES: &'static [Category] = &[Category::Stuck];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const SAYS: &'static str = "these tasks wait for room, a lock, a permit or a connection that nobody gives back, or for an end that does not come";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let waiting = facts.diff.map(|diff| &diff.giving[..]).unwrap_or_default();
        let (giving, answers): (Vec<&Giving>, Vec<&Giving>) =
            waiting.iter().partition(|waiting| waiting.kind.is_give_back());
        // Those that had turns before are stuck; what waits for its first turn meanwhile waits behind them.
        let holding = &facts.now.holding;
        // Of what is behind a holder that is known for sure, that one is told, and of what is in a cycle the cycle.
        let is_told = |task: TaskId| {
            let is_likely = |holder: &HolderOfWaiters| holder.certainty >= Certainty::Likely;
            holding.is_behind(task) || holding.holder_of(task).is_some_and(is_likely)
        };
        let is_stuck = |all: &Giving, task: &GivingTask| is_stuck(all, task, params) && !is_told(task.task);
        let had_turns = |all: &Giving, task: &GivingTask| task.mean_pause_us.is_some() && is_stuck(all, task);
        let are_there = giving.iter().any(|all| all.tasks.iter().any(|task| had_turns(all, task)));
        let is_meant =
            |all: &Giving, task: &GivingTask| is_stuck(all, task) && (!are_there || had_turns(all, task));
        let stuck = giving.iter().filter_map(|giving| Stuck::of(giving, is_meant));
        // Of a site that waits in several ways, the way of the most tasks is told.
        let mut all: Vec<Stuck<'_>> = Vec::new();
        for stuck in stuck {
            match all.iter_mut().find(|known| known.giving.site == stuck.giving.site) {
                Some(known) if known.tasks.len() < stuck.tasks.len() => *known = stuck,
                Some(_) => {}
                None => all.push(stuck),
            }
        }
        let answers = answers.iter().filter_map(|answer| Stuck::of(answer, had_turns));
        match before_all_others(answers.collect(), &all) {
            Some(cause) => vec![cause.finding(facts, behind(&all), Some(Evidence::OrderOfTimeOnly))],
            None => {
                let giving = all.iter().map(|stuck| stuck.finding(facts, Vec::new(), None));
                giving.chain(ending::findings(facts, params)).collect()
            }
        }
    }
}

/// The tasks of a site that are stuck in such a wait.
struct Stuck<'a> {
    giving: &'a Giving,
    tasks: Vec<&'a GivingTask>,
    longest: &'a GivingTask,
}

impl<'a> Stuck<'a> {
    fn of(giving: &'a Giving, is_meant: impl Fn(&Giving, &GivingTask) -> bool) -> Option<Self> {
        let tasks: Vec<&GivingTask> = giving.tasks.iter().filter(|task| is_meant(giving, task)).collect();
        let longest = *tasks.iter().max_by_key(|task| task.idle_us)?;
        Some(Stuck { giving, tasks, longest })
    }

    fn finding(&self, facts: &Facts<'_>, behind: Vec<Evidence>, against: Option<Evidence>) -> Finding {
        let holder = self.tasks.iter().find_map(|task| facts.now.holding.holder_of(task.task));
        let mut evidence: Vec<Evidence> = holder.map(Evidence::has_and_waits).into_iter().collect();
        evidence.push(Evidence::WaitsInBoth {
            tasks: self.tasks.len() as u64,
            idle: Micros(self.longest.idle_us),
            usual: Micros(usual_us(self.giving, self.longest).unwrap_or(0.0) as u64),
        });
        let woken = self.tasks.iter().filter(|task| task.is_woken).count() as u64;
        evidence.extend((woken > 0).then_some(Evidence::WokenAndNotRun { tasks: woken }));
        evidence.extend(behind);
        evidence.extend(labelled(&facts.now.labels.among(self.tasks.iter().map(|task| task.task))));
        Finding {
            since: ago(facts.now, self.longest.idle_us),
            count: Some(self.tasks.len() as u64),
            evidence,
            counter_evidence: [Evidence::LongPauseLooksTheSame].into_iter().chain(against).collect(),
            waiting_at: Some(Wait::All { at: self.giving.waits.clone() }),
            held_by: holder.map(|holder| Holder::task(&holder.task, Some(holder.what.clone()))),
            ..Finding::new(
                Rule::NAME,
                Category::Stuck,
                Confidence::Likely,
                Subject::from(&self.giving.site),
                Advice::FindWhoHasIt { waits: self.giving.kind },
                Risk::WaitersPileUp,
            )
        }
    }
}

/// The tasks that had many turns and wait for an answer, and did before any of the others began to wait for what somebody
/// has: if they are few beside those and of one site, these wait for them. Callers of what is stuck have waited as long, and
/// are many, or had few turns.
fn before_all_others<'a>(answers: Vec<Stuck<'a>>, others: &[Stuck<'_>]) -> Option<Stuck<'a>> {
    const MANY_TURNS: u64 = 20;
    const FEW_BESIDE: usize = 3;
    let longest_us = others.iter().map(|stuck| stuck.longest.idle_us).max()?;
    let largest = others.iter().map(|stuck| stuck.tasks.len()).max()?;
    let mut first = answers.into_iter().filter(|stuck| {
        stuck.longest.idle_us >= longest_us
            && stuck.longest.polls >= MANY_TURNS
            && stuck.tasks.len() * FEW_BESIDE <= largest
    });
    first.next().filter(|_| first.next().is_none())
}

fn behind(stuck: &[Stuck<'_>]) -> Vec<Evidence> {
    let victims = stuck.iter().map(|stuck| Evidence::WaitBehind {
        tasks: stuck.tasks.len() as u64,
        spawned_at: stuck.giving.site.clone(),
    });
    victims.collect()
}

fn is_stuck(all: &Giving, task: &GivingTask, params: &Params) -> bool {
    is_stuck_for(all, task, (params.min_idle_s, params.min_pauses))
}

/// Idle for so many seconds, and for so many of its pauses.
pub(super) fn is_stuck_for(all: &Giving, task: &GivingTask, (seconds, pauses): (f64, f64)) -> bool {
    let idle_us = task.idle_us as f64;
    idle_us >= seconds * 1e6 && usual_us(all, task).is_some_and(|usual_us| idle_us >= usual_us * pauses)
}

/// What such a wait is to be measured by: the task's own pauses, or the life of the others if it never had one. Where a crowd waits
/// for the same, those few do that ended before it began to.
fn usual_us(all: &Giving, task: &GivingTask) -> Option<f64> {
    const CROWD: usize = 20;
    let of_few = all.lived_us.filter(|_| all.tasks.len() >= CROWD);
    task.mean_pause_us.or(task.usual_lifetime_us.or(of_few).map(|us| us as f64))
}

const DOC: &str = "\
What a task waits for is known where its last poll left a stack. Sends on a channel, locks, permits and pools count; what the
other end of a socket does is not the service's. A task that waits for an answer (of a oneshot channel, of a cell) counts if others
came to wait like that after it.

- **Found when** a task is in such a wait in both snapshots, was not polled in between, and is idle for `min_idle_s` and for
  `min_pauses` times the mean pause between its earlier polls; in its first wait, for as many times the usual lifetime of its
  site, which 20 tasks tell that ended, or fewer where 20 are in that wait. One task is enough. Always **likely**.
- **The cause is told, and not its victims,** where tasks of one site that were polled 20 times or more wait for an answer, idle
  as long by the same measure, did so before any of the others came to wait, and are no more than a third as many: a consumer
  that stopped, or whoever keeps a lock while it waits. That they belong together is told by the order of time alone.
- **Or when** a task waits for the end of the only live one that it spawned, in both snapshots, for `min_idle_s` and for ten times as
  long as any of five or more before that lived; who waits began to when that one was about as old as those became. They ended when
  they were asked to, as at a reload or a stop, and this one does not.
- **Evidence**: for how long, against its earlier pauses; whether it was woken and has not run: then a future that nobody
  polls may be first in the queue.
- **Who has it** is told first where the memory was swept and some task may have it; where that is sure, `stuck-behind` tells it, and a
  cycle or a future that nobody polls has a rule of its own.
- **Counter-evidence**: work that rests for long now and then, as a batch writer that sleeps between batches, looks the same to
  whoever waits for it.
- **Disproved by** a snapshot in which the task was polled again.
- **Silent twins**: a supervisor that waits from the spawn on; an end that comes within the time of a few others; a task in `recv`; a queue that moves; a producer whose consumer is slow.
";
