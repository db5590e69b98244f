//! `task-leak`: a spawn site whose tasks stay and pile up.
//!
//! Tasks stay in two ways. They come to rest: in a healthy service that happens about as often as resting tasks move on,
//! and a site where far more came to rest than moved on, by an exact sign test and not all at once, is a finding. Or they go
//! on, as a heartbeat does, and outlive all others of their site: a site that bears them all the time and ends none of the
//! older ones is one as well. What the tasks wait for is told if that is known, but does not decide.

mod ageing;
mod crowd;

use diag_snapshot::{Bytes, Micros};

use super::advice::Advice;
use super::evidence::{Evidence, labelled};
use super::fact::PerSecond;
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::reason::Reason;
use super::risk::Risk;
use super::rule::{self, Facts, Needs, Rule as _};
use super::subject::Subject;
use super::wait::Wait;
use crate::diff::{Cohort, Diff, Moves, SiteDiff};
use crate::stats::sign_test;
use crate::time::timestamp;
use crate::trend::Trend;
use ageing::Ageing;
use diag_analysis::await_point::Direction;
use diag_analysis::views::Estimate;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// A task is stale after resting for so many usual lifetimes of its site.
    stale_factor: Factor = 3.0,
    /// A site has a usual lifetime once so many of its tasks ended.
    min_ended: Count = 20,
    /// So many stale tasks at least.
    min_tasks: Count = 10,
    /// So large a part of the older tasks may have moved on.
    max_moved: Share = 0.02,
    /// Tasks that outlive the others of their site, or whose site never ended any, have been coming for so long.
    min_growth_s: Seconds = 29.0,
    /// The largest p at which growth is still taken for churn: 1e-6 is 20 tasks that came to rest against none that
    /// moved on.
    significance: Probability = 1e-6,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "task-leak";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const YIELDS_TO: &'static [&'static str] =
        &["lost-waker", "missed-wakeup", "stuck-giving", "blocking-pool-full", "straggler"];
    const SAYS: &'static str = "tasks of one spawn site come to rest and stay";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let Some(diff) = facts.over_time() else { return Vec::new() };
        let found = |site: &SiteDiff| {
            of_site(facts, diff, site, params).or_else(|| crowd::finding(facts, diff, site, params))
        };
        diff.tasks.sites.iter().filter_map(found).collect()
    }

    /// Sites that grow and whose tasks could not have been found stale yet.
    fn too_early(facts: &Facts<'_>, params: &Params, findings: &[Finding]) -> Vec<Reason> {
        let Some(diff) = facts.over_time() else { return Vec::new() };
        let known =
            |site: &SiteDiff| findings.iter().any(|finding| finding.subject == Subject::from(&site.site));
        let early = diff.tasks.sites.iter().filter(|site| !known(site));
        let early = early.filter(|site| facts.trend.is_none_or(|trend| still_grows(trend, site)));
        early.filter_map(|site| too_early_site(site, diff.after.uptime_us, params)).collect()
    }
}

/// What is surer of the two ways in which the tasks of a site stay. Where most of its tasks end, those that rest are the
/// ones to count: others may be old because they have work.
fn of_site(facts: &Facts<'_>, diff: &Diff, site: &SiteDiff, params: &Params) -> Option<Finding> {
    let resting = Suspect::of(site, params).map(|suspect| suspect.finding(diff, params));
    let ageing = Ageing::of(facts, diff, site, params).map(|ageing| ageing.finding(diff, params));
    let (resting, ageing) = match (resting, ageing) {
        (Some(resting), Some(ageing)) if ageing.confidence > resting.confidence => (resting, ageing),
        (resting, ageing) => return resting.or(ageing),
    };
    let advice = end_the_wait(site);
    if site.usual_lifetime_us.is_none() {
        return Some(Finding { waiting_at: resting.waiting_at, advice, ..ageing });
    }
    let is_new =
        |fact: &Evidence| !matches!(fact, Evidence::Labelled { .. }) && !resting.evidence.contains(fact);
    let more = ageing.evidence.into_iter().filter(is_new);
    let evidence = resting.evidence.iter().cloned().chain(more).collect();
    Some(Finding { confidence: ageing.confidence, evidence, advice, ..resting })
}

/// False if the last third of a series has no more tasks of the site than a tenth of its growth before.
fn still_grows(trend: &Trend, site: &SiteDiff) -> bool {
    let Some(tasks) = trend.tasks_of(&site.site) else { return false };
    let Some(bounds) = trend.windows(0, 3) else { return true };
    let live =
        |bound: usize| bounds.get(bound).and_then(|&moment| tasks.live.get(moment)).copied().unwrap_or(0);
    live(3).saturating_sub(live(2)) > live(2).saturating_sub(live(0)) / 10
}

fn too_early_site(site: &SiteDiff, uptime_us: u64, params: &Params) -> Option<Reason> {
    let moves = site.moves?;
    let usual_us = site.usual_lifetime_us?;
    let needed_us = stale_after_us(usual_us, params);
    let grows = sign_test(moves.born, moves.ended) <= params.significance;
    (grows && uptime_us < needed_us).then(|| Reason::TooEarly {
        spawned_at: site.site.clone(),
        grown: moves.born.saturating_sub(moves.ended),
        usual_lifetime: Micros(usual_us),
        needed_uptime: Micros(needed_us),
    })
}

/// How many eighths of their time had some of so many tasks, stragglers aside. Those that were spawned in one go, as the
/// workers of a pool are, rest and become stale all at once: that is age and not growth, and it fills one eighth or two.
pub(super) fn busy_eighths(eighths: &[u64; 8], tasks: u64) -> usize {
    let stragglers = tasks / 80;
    eighths.iter().filter(|&&part| part > stragglers).count()
}

/// Without a usual lifetime, tasks that were all there in the first snapshot only became older: a leak
/// must have borne more than it ended. With one, ghosts may take the place of tasks that left.
fn may_still_grow(site: &SiteDiff, params: &Params) -> bool {
    let bears = |moves: Moves| sign_test(moves.born, moves.ended) <= params.significance;
    site.usual_lifetime_us.is_some() || site.moves.is_none_or(bears)
}

fn stale_after_us(usual_us: u64, params: &Params) -> u64 {
    (usual_us as f64 * params.stale_factor) as u64
}

/// A site where more tasks came to rest than churn explains.
struct Suspect<'a> {
    site: &'a SiteDiff,
    /// What the cohort did.
    cohort: Cohort,
}

impl<'a> Suspect<'a> {
    fn of(site: &'a SiteDiff, params: &Params) -> Option<Self> {
        let cohort = site.cohort?;
        let rested = site.after.stale.saturating_sub(cohort.untouched);
        let grows = site.after.stale > site.before.stale
            && site.after.stale >= params.min_tasks
            && sign_test(rested, cohort.moved()) <= params.significance
            && busy_eighths(&site.after.rested, site.after.stale) >= 4
            && may_still_grow(site, params);
        grows.then_some(Suspect { site, cohort })
    }

    fn confidence(&self, diff: &Diff, params: &Params) -> Confidence {
        let whole = stays(self.cohort.total(), self.cohort.moved(), params);
        let had_time =
            self.site.usual_lifetime_us.is_some_and(|usual| diff.window_us.unsigned_abs() >= usual);
        if whole && had_time { Confidence::Likely } else { Confidence::Possible }
    }

    fn finding(&self, diff: &Diff, params: &Params) -> Finding {
        let confidence = self.confidence(diff, params);
        let rate_per_s = self.rate_per_s(diff);
        let subject = Subject::from(&self.site.site);
        let waiting_at = Wait::of_most(&self.site.after.stale_waits);
        let advice = self.advice(confidence, diff, params);
        let risk = risk(self.site, rate_per_s);
        Finding {
            since: self
                .site
                .after
                .longest_stale_us
                .and_then(|idle| timestamp(diff.after.taken_unix_us.saturating_sub(idle))),
            count: Some(self.site.after.stale),
            rate_per_s,
            bytes: of_live_tasks(diff, self.site),
            cell_bytes: cells(diff, self.site),
            evidence: self.evidence(diff, params),
            counter_evidence: self.counter_evidence(diff, params),
            waiting_at,
            ..Finding::new(Rule::NAME, Category::Leak, confidence, subject, advice, risk)
        }
    }

    fn rate_per_s(&self, diff: &Diff) -> Option<f64> {
        let grown = self.site.after.stale.saturating_sub(self.site.before.stale);
        diff.rate_per_s(grown as f64)
    }

    fn evidence(&self, diff: &Diff, params: &Params) -> Vec<Evidence> {
        let (before, after) = (&self.site.before, &self.site.after);
        let mut evidence = vec![self.rest(diff, params)];
        let (cohort, untouched) = (self.cohort.total(), self.cohort.untouched);
        if untouched > 0 {
            evidence.push(Evidence::CohortStayed { cohort, untouched, window: diff.window() });
        }
        evidence.extend([
            Evidence::StaleGrew { before: before.stale, after: after.stale },
            Evidence::WentIdleInParts { parts: busy_eighths(&after.rested, after.stale) as u64, of: 8 },
            Evidence::SinceStart { spawned: after.totals.spawned, ended: after.totals.ended() },
        ]);
        evidence.extend(labelled(&after.stale_labels));
        evidence
    }

    fn rest(&self, diff: &Diff, params: &Params) -> Evidence {
        let tasks = self.site.after.stale;
        match self.site.usual_lifetime_us {
            Some(usual_us) => Evidence::StaleAmongEnded {
                tasks,
                idle: Micros(stale_after_us(usual_us, params)),
                ended: self.site.after.totals.ended(),
                usual_lifetime: Micros(usual_us),
            },
            None => Evidence::StaleTasks { tasks, idle: diff.window() },
        }
    }

    fn counter_evidence(&self, diff: &Diff, params: &Params) -> Vec<Evidence> {
        let site = self.site;
        let young = (site.after.young > 0).then_some(Evidence::TooYoung {
            tasks: site.after.young,
            usual_lifetimes: site.usual_lifetime_us.map(|_| params.stale_factor),
        });
        let cohort = cohort_against(self.cohort, params);
        [self.lifetime_against(diff), cohort, young].into_iter().flatten().collect()
    }

    fn lifetime_against(&self, diff: &Diff) -> Option<Evidence> {
        match (self.site.usual_lifetime_us.map(Micros), self.site.after.totals.ended()) {
            (None, 0) => Some(Evidence::NoneEnded),
            (None, ended) => Some(Evidence::FewEnded { ended }),
            (Some(usual_lifetime), _) if diff.window() < usual_lifetime => {
                Some(Evidence::WindowShorterThanLife { usual_lifetime })
            }
            (Some(_), _) => None,
        }
    }

    fn advice(&self, confidence: Confidence, diff: &Diff, params: &Params) -> Advice {
        if confidence == Confidence::Possible {
            let wait_us = self.site.usual_lifetime_us.map_or(0, |usual| stale_after_us(usual, params));
            return Advice::CompareTasksAgain { after: Micros(wait_us).max(diff.window()) };
        }
        end_the_wait(self.site)
    }
}

fn risk(site: &SiteDiff, rate_per_s: Option<f64>) -> Risk {
    let growing = rate_per_s.filter(|&rate| rate > 0.0);
    growing.map_or(Risk::TasksKept, |rate| Risk::TasksGrow {
        tasks: PerSecond(rate),
        future: Bytes(site.future_bytes),
    })
}

impl Params {
    fn min_growth(&self) -> Micros {
        Micros::from_secs(self.min_growth_s)
    }
}

/// True if of so many older tasks hardly any moved on.
fn stays(older: u64, moved: u64, params: &Params) -> bool {
    older >= params.min_tasks && moved as f64 <= params.max_moved * older as f64
}

/// Where most wait for what others have to give back, some of the same site that wait elsewhere may be those who have it.
fn end_the_wait(site: &SiteDiff) -> Advice {
    let spawned_at = site.site.clone();
    let waits = &site.after.stale_waits;
    let needs_of = |at: &str| site.after.stale_needs.get(at).copied();
    let needs = Wait::of_most(waits).and_then(|most| needs_of(most.at()));
    let others = waits.iter().filter(|(at, _)| needs_of(at) != Some(Direction::Give));
    match others.max_by_key(|(_, tasks)| **tasks) {
        Some((at, &tasks)) if needs == Some(Direction::Give) => {
            Advice::EndTheOtherWait { spawned_at, tasks, at: at.clone() }
        }
        _ => Advice::EndTheWait { spawned_at, needs },
    }
}

/// The live tasks of a site, and what they allocated and nobody freed; none if the heap is not sampled.
pub(super) fn of_live_tasks(diff: &Diff, site: &SiteDiff) -> Option<Estimate> {
    let heap = diff.heap.as_ref()?;
    let allocated = heap.beside_cells.get(&site.site).copied().unwrap_or_default();
    let allocated = Estimate::of(&allocated, heap.unseen_bytes);
    Some(allocated.and_exactly(cells(diff, site)?))
}

/// Of these the tasks themselves.
pub(super) fn cells(diff: &Diff, site: &SiteDiff) -> Option<Bytes> {
    diff.heap.as_ref().map(|_| Bytes(site.after.live.saturating_mul(site.future_bytes)))
}

fn cohort_against(cohort: Cohort, params: &Params) -> Option<Evidence> {
    let (total, Cohort { ended, polled, .. }) = (cohort.total(), cohort);
    if cohort.moved() > 0 {
        return Some(Evidence::CohortMoved { cohort: total, ended, polled });
    }
    (total < params.min_tasks).then_some(Evidence::CohortSmall { cohort: total, least: params.min_tasks })
}

const DOC: &str = "\
The count is the number of stale tasks in the second snapshot. If some of them told where they are parked, the finding says
what they wait for; that does not decide anything. Where all of that is to be given back by others (room in a channel, a lock, a
permit), the advice is to look there, since a timeout would hide the fault; where some of the site wait otherwise, to look at these first:
they may have what the others wait for.

- **Found when** more tasks are stale than before, at least `min_tasks`, and the tasks that came to rest against the
  stale ones that moved on have a chance of at most `significance` (20 against none, 40 against 7), and they came
  to rest in at least 4 of 8 equal parts of the time since the first of them: a pool of workers rests all at once. Where
  the usual lifetime is not known, more tasks must have been spawned than ended between the snapshots, too.
- **Found as well**, whatever the tasks do, when more tasks are older than `stale_factor` usual lifetimes of their site (than
  nothing, if none ever ended), by the same test against those of them that ended, and they were spawned in at least 6 of 8 equal
  parts of the time since the first, in the later half at least a third as many as in the earlier one, and up to now.
- **Possible** also when a series has more and more live tasks of a site in each of three windows, `min_growth_s` together,
  though none of them is old: more load does that. **Likely** if load cannot be why: four fifths of what is new in each window are
  spawned by tasks of the site itself and these became more than twice as fast as what others spawn; or no more are spawned by the second
  than before (1.25 times at the most), a fifth of them and more end in each window, and nearly all that ended last lived longer
  than half of those did that ended in the first window.
- **Likely** when they rest, the usual lifetime is known, the snapshots are at least one of it apart, the cohort has at least
  `min_tasks`, and at most `max_moved` of it ended or was polled in between. Or when they have been coming for `min_growth_s`,
  and at most `max_moved` of at least `min_tasks` that were too old in the first snapshot ended, or none of the site ended at all
  and `min_tasks` of them are there for half of the time, and they were spawned in at least 7 of the 8 parts; but not where none of the site
  ever ended and others have more to do, as a pool grows then, nor where none came in the later half of the time between the
  snapshots. Others are sites that end tasks; of tasks that a library spawned, whose polls nobody has seen, none of which ever ended,
  the process must use no more of a CPU in the last third of the time than 1.25 times what it used before. **Possible** otherwise.
- **Evidence**: how long they rest, what the cohort did, the growth, spawned and ended since start; with the heap sampled,
  the live bytes that live tasks of the site allocated.
- **Counter-evidence**: how many of the cohort moved; that nothing or too little ever ended; that the cohort is small; how
  many more tasks are too young to judge.
- **Disproved by** a third snapshot in which the same tasks ended or were polled. A site that serves both short tasks and
  long silent ones (a connection that may say nothing for hours, without a ping) looks like a leak while its silent ones
  become more: give the two their own spawn sites.
- **Silent twins**: churn, a ramp-up whose tasks are polled, old idle tasks that do not become more, workers
  spawned in one go, a cohort that is replaced (`tests/task_leak.rs`).
";
