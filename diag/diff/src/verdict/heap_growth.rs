//! `heap-growth`: a function whose allocations pile up.
//!
//! Growth is a finding when churn does not explain it: an exact sign test of new against gone
//! samples, adjusted for the number of functions, and an interval above zero. It is *likely* a leak
//! when besides the blocks have outlived what is usual for the tasks that allocated them, none of
//! those was freed in the whole window, and new ones came to the last. A cache on its way to its
//! full size looks the same until then, which is why the rest is only *possible*.

use diag_analysis::human;

use super::{Class, Estimate, Finding, Grade, Subject, heap_share};
use crate::diff::{Diff, HeapDiff, HeapSiteDiff};
use crate::policy::{HeapGrowth, Policy};

pub(super) const NAME: &str = "heap-growth";

pub(super) fn judge(diff: &Diff, policy: &Policy) -> Vec<Finding> {
    let Some(heap) = &diff.heap else { return Vec::new() };
    let limits = &policy.rules.heap_growth;
    let grown = heap.sites.iter().filter(|site| grows(site, limits));
    grown.map(|site| finding(diff, heap, site, limits)).collect()
}

fn grows(site: &HeapSiteDiff, limits: &HeapGrowth) -> bool {
    site.growth.new.samples >= limits.min_samples
        && site.growth.interval.low > 0.0
        && site.chance <= limits.significance
}

fn grade(diff: &Diff, site: &HeapSiteDiff, limits: &HeapGrowth) -> Grade {
    let overdue = site.overdue;
    let kept = overdue.before >= limits.min_samples && overdue.freed == 0 && overdue.after > overdue.before;
    if diff.same_process && kept && is_steady(site) { Grade::Likely } else { Grade::Possible }
}

/// New blocks came in the second half of the window too, at least a third as many as in the first:
/// a cache that has reached its limit takes none.
fn is_steady(site: &HeapSiteDiff) -> bool {
    site.new_late > 0 && site.new_late.saturating_mul(3) >= site.new_early
}

fn finding(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff, limits: &HeapGrowth) -> Finding {
    let subject = Subject { location: site.place.location(), name: Some(site.place.function.clone()) };
    let grade = grade(diff, site, limits);
    let interval = site.growth.interval;
    Finding {
        bytes: Some(Estimate::of(&site.growth.after, heap.unseen_bytes)),
        growth: Some(Estimate {
            estimate_bytes: site.growth.bytes(),
            low_bytes: interval.low,
            high_bytes: interval.high,
        }),
        evidence: evidence(diff, heap, site),
        counter_evidence: counter_evidence(diff, site, limits),
        advice: advice(diff, site, grade),
        risk: risk(diff, site),
        ..Finding::new(NAME, Class::Leak, grade, subject)
    }
}

fn evidence(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff) -> Vec<String> {
    let mut evidence = vec![format!(
        "{} samples are new and {} are gone; churn alone does that with a chance of {:.0e}",
        human::count(site.growth.new.samples),
        human::count(site.growth.gone.samples),
        site.chance
    )];
    let overdue = site.overdue;
    if overdue.before > 0 {
        evidence.push(format!(
            "of {} that were older than {} usual lifetimes of their tasks, {} freed in {}",
            human::count(overdue.before),
            diff.options.stale_factor,
            if overdue.freed == 0 {
                "none was".to_owned()
            } else {
                format!("{} were", human::count(overdue.freed))
            },
            human::duration_us(diff.window_us.unsigned_abs())
        ));
    }
    evidence.push(format!(
        "it is {:.1} % of the live heap, mostly of the kind {}",
        heap.after.share_percent(&site.growth.after),
        site.after.container().as_str()
    ));
    evidence.extend(site.window.filter(|window| window.allocated_bytes > 0).map(|window| {
        let (allocated, freed) = (window.allocated_bytes as f64, window.freed_bytes as f64);
        format!("{} were allocated there in between and {} freed", size(allocated), size(freed))
    }));
    evidence.extend(heap_share::ages(&diff.now, &site.after));
    let of_ended_tasks = site.after.of_ended_tasks.sum;
    if of_ended_tasks > 0.0 {
        evidence.push(format!("{} of it was allocated by tasks that ended", size(of_ended_tasks)));
    }
    let most = site.after.by_task_site.iter().max_by(|a, b| a.1.total_cmp(b.1));
    evidence.extend(
        most.map(|(task, &bytes)| format!("{} of it was allocated by tasks spawned at {task}", size(bytes))),
    );
    evidence
}

fn counter_evidence(diff: &Diff, site: &HeapSiteDiff, limits: &HeapGrowth) -> Vec<String> {
    let mut against = Vec::new();
    if !diff.same_process {
        against.push("the snapshots are of two processes: only totals were compared".to_owned());
    } else if site.overdue.before < limits.min_samples {
        against.push(format!(
            "only {} samples were old enough in the first snapshot to say whether they stay, fewer than {}",
            human::count(site.overdue.before),
            human::count(limits.min_samples)
        ));
    }
    if diff.same_process && !is_steady(site) {
        against.push(format!(
            "it slows down: {} new samples in the first half of the time and {} in the second",
            human::count(site.new_early),
            human::count(site.new_late)
        ));
    }
    against
}

fn advice(diff: &Diff, site: &HeapSiteDiff, grade: Grade) -> String {
    let place = site.place.location();
    if grade == Grade::Possible {
        let window = human::duration_us(diff.window_us.unsigned_abs());
        return format!(
            "take a third snapshot {window} after the second: a cache stops growing at its limit, a leak does not"
        );
    }
    format!(
        "look at what keeps the memory of {place} after its task is done, often a map without a limit or an expiry"
    )
}

fn risk(diff: &Diff, site: &HeapSiteDiff) -> String {
    let seconds = diff.window_us as f64 / 1e6;
    if !diff.same_process || seconds <= 0.0 {
        return "memory is not given back until the process ends".to_owned();
    }
    let per_s = site.growth.bytes() / seconds;
    format!("at this rate, {} a second, {} a day", size(per_s), size(per_s * 86_400.0))
}

fn size(bytes: f64) -> String {
    human::bytes(bytes.max(0.0) as u64)
}
