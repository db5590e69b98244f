//! `task-leak`: a spawn site whose stale tasks pile up.
//!
//! In a healthy service tasks come to rest about as often as resting tasks move on. A site where
//! far more came to rest than moved on, by an exact sign test and not all at once, is a finding; it is *likely* if the
//! site has a usual lifetime and not one task of a large enough stale cohort moved in the whole
//! window. What the tasks wait for is told if they were asked, but does not decide.

use diag_analysis::human;
use diag_analysis::leaf::Direction;

use super::{Class, Estimate, Finding, Grade, Subject};
use crate::diff::{Cohort, Diff, Moves, SiteDiff};
use crate::policy::{Policy, TaskLeak};
use crate::report::timestamp;
use crate::stats::sign_test;

pub(super) const NAME: &str = "task-leak";

pub(super) fn judge(diff: &Diff, policy: &Policy) -> Vec<Finding> {
    let limits = &policy.rules.task_leak;
    let suspects = diff.tasks.sites.iter().filter_map(|site| Suspect::of(site, limits));
    suspects.map(|suspect| suspect.finding(diff, limits)).collect()
}

/// Sites that grow and whose tasks could not have been found stale yet: a sentence each.
pub(super) fn too_early(diff: &Diff, policy: &Policy, findings: &[Finding]) -> Vec<String> {
    let limits = &policy.rules.task_leak;
    let known = |site: &SiteDiff| findings.iter().any(|finding| finding.subject == Subject::from(&site.site));
    let early = diff.tasks.sites.iter().filter(|site| !known(site));
    early.filter_map(|site| too_early_site(site, diff.after.uptime_us, limits)).collect()
}

fn too_early_site(site: &SiteDiff, uptime_us: u64, limits: &TaskLeak) -> Option<String> {
    let moves = site.moves?;
    let usual_us = site.usual_lifetime_us?;
    let needed_us = stale_after_us(usual_us, limits);
    let grows = sign_test(moves.born, moves.ended) <= limits.significance;
    (grows && uptime_us < needed_us).then(|| {
        format!(
            "{} grew by {} tasks, which usually live up to {}: whether the new ones stay shows after {} of uptime",
            site.site,
            human::count(moves.born.saturating_sub(moves.ended)),
            human::duration_us(usual_us),
            human::duration_us(needed_us)
        )
    })
}

/// In how many eighths of their time the stale tasks came to rest, stragglers aside. Those that
/// were spawned in one go, as the workers of a pool are, rest and become stale all at once: that is
/// age and not growth, and it fills one eighth or two.
fn busy_eighths(site: &SiteDiff) -> usize {
    let stragglers = site.after.stale / 80;
    site.after.rested.iter().filter(|&&rested| rested > stragglers).count()
}

/// Without a usual lifetime, tasks that were all there in the first snapshot only became older: a leak
/// must have borne more than it ended. With one, ghosts may take the place of tasks that left.
fn may_still_grow(site: &SiteDiff, limits: &TaskLeak) -> bool {
    let bears = |moves: Moves| sign_test(moves.born, moves.ended) <= limits.significance;
    site.usual_lifetime_us.is_some() || site.moves.is_none_or(bears)
}

fn stale_after_us(usual_us: u64, limits: &TaskLeak) -> u64 {
    (usual_us as f64 * limits.stale_factor) as u64
}

/// A site where more tasks came to rest than churn explains.
struct Suspect<'a> {
    site: &'a SiteDiff,
    /// What the cohort did; none for two processes.
    cohort: Option<Cohort>,
}

impl<'a> Suspect<'a> {
    fn of(site: &'a SiteDiff, limits: &TaskLeak) -> Option<Self> {
        // Two processes have no tasks in common: all of the second's came to rest, all of the
        // first's moved on, and chance decides whether that is growth.
        let (stayed, moved_on) =
            site.cohort.map_or((0, site.before.stale), |cohort| (cohort.untouched, cohort.moved()));
        let rested = site.after.stale.saturating_sub(stayed);
        let grows = site.after.stale > site.before.stale
            && site.after.stale >= limits.min_tasks
            && sign_test(rested, moved_on) <= limits.significance
            && busy_eighths(site) >= 4
            && may_still_grow(site, limits);
        grows.then_some(Suspect { site, cohort: site.cohort })
    }

    fn grade(&self, diff: &Diff, limits: &TaskLeak) -> Grade {
        let whole =
            self.cohort.is_some_and(|cohort| cohort.total() >= limits.min_tasks && cohort.moved() == 0);
        let had_time =
            self.site.usual_lifetime_us.is_some_and(|usual| diff.window_us.unsigned_abs() >= usual);
        if whole && had_time { Grade::Likely } else { Grade::Possible }
    }

    fn finding(&self, diff: &Diff, limits: &TaskLeak) -> Finding {
        let grade = self.grade(diff, limits);
        let rate_per_s = self.rate_per_s(diff);
        Finding {
            since: self
                .site
                .after
                .longest_stale_us
                .and_then(|idle| timestamp(diff.after.taken_unix_us.saturating_sub(idle))),
            count: Some(self.site.after.stale),
            rate_per_s,
            bytes: self.bytes(diff),
            evidence: self.evidence(diff, limits),
            counter_evidence: self.counter_evidence(diff, limits),
            waiting_at: self.waits(),
            advice: self.advice(grade, diff, limits),
            risk: risk(rate_per_s, self.site.future_bytes),
            ..Finding::new(NAME, Class::Leak, grade, Subject::from(&self.site.site))
        }
    }

    fn commonest_wait(&self) -> Option<(&String, &u64)> {
        self.site.after.stale_waits.iter().max_by_key(|(_, tasks)| **tasks)
    }

    /// What most of those that were asked wait for.
    fn waits(&self) -> Option<String> {
        let asked: u64 = self.site.after.stale_waits.values().sum();
        let (what, tasks) = self.commonest_wait()?;
        Some(match *tasks == asked {
            true => what.clone(),
            false => format!("{what} ({} of {} asked)", human::count(*tasks), human::count(asked)),
        })
    }

    /// What the live tasks of the site allocated and nobody freed.
    fn bytes(&self, diff: &Diff) -> Option<Estimate> {
        let heap = diff.heap.as_ref()?;
        let held = heap.of_live_tasks.get(&self.site.site)?;
        Some(Estimate::of(held, heap.unseen_bytes))
    }

    fn rate_per_s(&self, diff: &Diff) -> Option<f64> {
        let grown = self.site.after.stale.saturating_sub(self.site.before.stale);
        (diff.same_process && diff.window_us > 0).then(|| grown as f64 * 1e6 / diff.window_us as f64)
    }

    fn evidence(&self, diff: &Diff, limits: &TaskLeak) -> Vec<String> {
        let (before, after) = (&self.site.before, &self.site.after);
        let mut evidence = vec![self.rest(diff, limits)];
        if let Some(cohort) = self.cohort.filter(|cohort| cohort.untouched > 0) {
            evidence.push(format!(
                "of {} that already rested in the first snapshot, {} did nothing for {} more",
                human::count(cohort.total()),
                if cohort.moved() == 0 { "all".to_owned() } else { human::count(cohort.untouched) },
                human::duration_us(diff.window_us.unsigned_abs()),
            ));
        }
        evidence.push(format!(
            "resting tasks went from {} to {}",
            human::count(before.stale),
            human::count(after.stale)
        ));
        evidence.push(format!(
            "they came to rest one after the other, in {} of 8 equal parts of the time since the first of them",
            busy_eighths(self.site)
        ));
        evidence.push(format!(
            "since start {} were spawned and {} ended",
            human::count(after.totals.spawned),
            human::count(after.totals.ended())
        ));
        evidence
    }

    fn rest(&self, diff: &Diff, limits: &TaskLeak) -> String {
        let count = human::count(self.site.after.stale);
        match self.site.usual_lifetime_us {
            Some(usual) => format!(
                "{count} tasks have done nothing for at least {}; {} of the {} that ended lived no longer than {}",
                human::duration_us(stale_after_us(usual, limits)),
                "99 %",
                human::count(self.site.after.totals.ended()),
                human::duration_us(usual)
            ),
            None => format!(
                "{count} tasks have done nothing for at least {}",
                human::duration_us(diff.window_us.unsigned_abs())
            ),
        }
    }

    fn counter_evidence(&self, diff: &Diff, limits: &TaskLeak) -> Vec<String> {
        let site = self.site;
        let mut against = Vec::new();
        if !diff.same_process {
            against.push(format!(
                "the snapshots are of two processes, up {} and {}: the same tasks could not be followed",
                human::duration_us(diff.before.uptime_us),
                human::duration_us(diff.after.uptime_us)
            ));
        }
        against.extend(self.lifetime_against(diff));
        if let Some(cohort) = self.cohort {
            against.extend(cohort_against(cohort, limits));
        }
        if site.after.young > 0 {
            against.push(format!(
                "{} more {}: too early to say",
                human::count(site.after.young),
                self.young(limits)
            ));
        }
        against
    }

    fn lifetime_against(&self, diff: &Diff) -> Option<String> {
        match (self.site.usual_lifetime_us, self.site.after.totals.ended()) {
            (None, 0) => Some("no task of this site ever ended: they may be meant to stay".to_owned()),
            (None, ended) => Some(format!(
                "only {} tasks of this site ended, too few to know how long they usually live",
                human::count(ended)
            )),
            (Some(usual), _) if diff.window_us.unsigned_abs() < usual => Some(format!(
                "the time between the snapshots is shorter than a usual lifetime ({})",
                human::duration_us(usual)
            )),
            (Some(_), _) => None,
        }
    }

    fn young(&self, limits: &TaskLeak) -> String {
        match self.site.usual_lifetime_us {
            Some(_) => format!("are younger than {} usual lifetimes", limits.stale_factor),
            None => "were spawned between the snapshots".to_owned(),
        }
    }

    fn advice(&self, grade: Grade, diff: &Diff, limits: &TaskLeak) -> String {
        if grade == Grade::Possible {
            let wait_us = self.site.usual_lifetime_us.map_or(0, |usual| stale_after_us(usual, limits));
            let wait = human::duration_us(wait_us.max(diff.window_us.unsigned_abs()));
            return format!(
                "take a third snapshot {wait} after the second and compare the second with it: if these tasks are \
                 still there, they leak"
            );
        }
        let needs = &self.site.after.stale_needs;
        match self.commonest_wait().and_then(|(wait, _)| needs.get(wait)) {
            Some(Direction::Give) => format!(
                "look at who has what the future spawned at {} waits for: a receiver that takes nothing more, or a \
                 guard, permit or connection that is never given back; a timeout would only hide it",
                self.site.site
            ),
            _ => format!(
                "look at what the future spawned at {} awaits after its work is done, and give it an end: a timeout, \
                 a cancellation, or drop the sender that it waits on",
                self.site.site
            ),
        }
    }
}

fn cohort_against(cohort: Cohort, limits: &TaskLeak) -> Vec<String> {
    let mut against = Vec::new();
    if cohort.moved() > 0 {
        against.push(format!(
            "of {} that rested in the first snapshot, {} ended and {} were polled again",
            human::count(cohort.total()),
            human::count(cohort.ended),
            human::count(cohort.polled)
        ));
    } else if cohort.total() < limits.min_tasks {
        against.push(format!(
            "only {} rested in the first snapshot already, fewer than {}",
            human::count(cohort.total()),
            human::count(limits.min_tasks)
        ));
    }
    against
}

fn risk(rate_per_s: Option<f64>, future_bytes: u64) -> String {
    let Some(rate) = rate_per_s.filter(|&rate| rate > 0.0) else {
        return "memory and whatever the tasks hold is not given back until the process ends".to_owned();
    };
    let day = (rate * 86_400.0) as u64;
    let bytes = day.saturating_mul(future_bytes);
    format!(
        "at this rate {} more tasks a day, {} for their futures alone, and what they hold comes on top",
        human::count(day),
        human::bytes(bytes)
    )
}
