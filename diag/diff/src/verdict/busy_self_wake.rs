//! `busy-self-wake`: tasks that wake themselves over and over.
//!
//! A task that asks for its next poll inside each poll keeps a CPU busy without waiting for anything:
//! an empty default branch, `yield_now` as a way to wait, a future that wakes when it is not ready.
//! Work that yields between honest pieces does the same, but less often: only the rate tells.

use diag_analysis::human;

use super::{Class, Finding, Grade, Subject};
use crate::diff::{Now, SiteNow, Spinning};
use crate::policy::{BusySelfWake, Policy};

pub(super) const NAME: &str = "busy-self-wake";

pub(super) fn judge(now: &Now, policy: &Policy) -> Vec<Finding> {
    let limits = &policy.rules.busy_self_wake;
    now.sites.iter().filter_map(|site| finding(site, limits)).collect()
}

fn finding(site: &SiteNow, limits: &BusySelfWake) -> Option<Finding> {
    let is_busy = |task: &&Spinning| {
        task.polls_per_s >= limits.min_polls_per_s && task.self_share >= limits.min_self_share
    };
    let busy: Vec<&Spinning> = site.spinning.iter().filter(is_busy).collect();
    let busiest = *busy.iter().max_by(|a, b| a.polls_per_s.total_cmp(&b.polls_per_s))?;
    Some(Finding {
        count: Some(busy.len() as u64),
        evidence: vec![format!(
            "{} polls a second, {:.0} % of them asked for by the task itself",
            human::count(busiest.polls_per_s as u64),
            (busiest.self_share * 100.0).floor()
        )],
        counter_evidence: vec![
            "work that yields between small pieces looks the same: see whether it gets anything done".to_owned(),
        ],
        advice: "let it wait for something: a `Notify`, a channel or a timer in place of `yield_now` or of waking \
                 itself"
            .to_owned(),
        risk: "it takes up a CPU for as long as it lives, and the other tasks of its worker run late".to_owned(),
        ..Finding::new(NAME, Class::Runaway, Grade::Likely, Subject::from(&site.site))
    })
}
