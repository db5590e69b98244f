//! `heap-growth`: a function whose allocations pile up.
//!
//! A pair of snapshots shows that memory grew, and never that it goes on: a cache on its way to its size looks the
//! same. A series does, once the growth lasts through windows enough and for long enough; and it shows where growth
//! ended, which is no leak at all. Memory that the allocating function gives back soon is work in flight, and memory
//! that grows with the tasks that hold it is theirs.

mod channel;
mod contents;
mod keeper;
mod resident;
mod suspect;

use diag_snapshot::Bytes;

use super::evidence::Evidence;
use super::fact::{Percent, Probability};
use super::finding::{Category, Confidence, Finding};
use super::params::params;
use super::remark::Remark;
use super::rule::{self, Facts, Needs};
use crate::diff::{Diff, HeapDiff, HeapSiteDiff};
use crate::trend::{FEW, HeapGrowth, Limits, MIN_DEVIATIONS};
use resident::ResidentRise;
use suspect::Suspect;

/// See [`DOC`].
pub(super) struct Rule;

params! {
    /// So many new samples at least.
    min_samples: Count = 10,
    /// The largest p at which growth is still taken for churn, over all functions.
    significance: Probability = 1e-6,
    /// A series shows that it goes on by growth in each of so many windows.
    min_windows: Count = 3,
    /// These last for so long together.
    min_growth_s: Seconds = 29.0,
    /// A window grew if it did by so many bytes.
    min_window_bytes: Bytes = 1 << 20,
}

impl rule::Rule for Rule {
    type Params = Params;

    const NAME: &'static str = "heap-growth";
    const CATEGORIES: &'static [Category] = &[Category::Leak];
    const NEEDS: Needs = Needs::TwoSnapshots;
    const JUDGES_TREND: bool = true;
    const SAYS: &'static str = "memory that one function allocates becomes more";
    const DOC: &'static str = DOC;

    fn check(facts: &Facts<'_>, params: &Self::Params) -> Vec<Finding> {
        let functions = by_function(suspects(facts, params).collect());
        let found: Vec<Found<'_>> = functions.iter().filter_map(|suspects| Found::of(suspects)).collect();
        // A table is told with what goes into it.
        let contents: Vec<Option<usize>> = found.iter().map(|table| table.contents(&found)).collect();
        let alone = (0..).zip(&found).zip(&contents).filter(|(_, contents)| contents.is_none());
        let with_tables = alone.map(|((at, one), _)| {
            let tables = found.iter().zip(&contents).filter(|(_, contents)| **contents == Some(at));
            (one, tables.map(|(table, _)| table).collect::<Vec<_>>())
        });
        with_tables.filter_map(|(one, tables)| one.finding(&tables, params)).collect()
    }

    fn notes(facts: &Facts<'_>, params: &Self::Params, _: &[Finding]) -> Vec<Remark> {
        suspects(facts, params).filter_map(|suspect| suspect.remark()).collect()
    }
}

/// One function is one cause, whichever of its lines allocates.
fn by_function(mut left: Vec<Suspect<'_>>) -> Vec<Vec<Suspect<'_>>> {
    let mut functions = Vec::new();
    while !left.is_empty() {
        let first = left.remove(0);
        let (mut same, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|other| other.is_of_function(&first));
        left = others;
        same.insert(0, first);
        functions.push(same);
    }
    functions
}

/// What is found of one function.
struct Found<'a> {
    /// The largest growth first.
    lines: Vec<&'a Suspect<'a>>,
    confidence: Confidence,
}

impl<'a> Found<'a> {
    fn of(suspects: &'a [Suspect<'a>]) -> Option<Self> {
        let lines: Vec<&Suspect<'_>> =
            suspects.iter().filter(|suspect| suspect.confidence().is_some()).collect();
        let surest = lines.iter().filter_map(|suspect| suspect.confidence()).max()?;
        // A table grows in steps for as long as what it holds comes to more: what that does is known better.
        let is_sure = |suspect: &&Suspect<'_>| suspect.confidence() > Some(Confidence::Possible);
        let mut sure = suspects.iter().filter(is_sure);
        let by_contents = sure.any(|suspect| matches!(suspect.growth, Some(HeapGrowth::Steady(_))));
        let all_go_on = suspects.iter().all(|suspect| is_sure(&suspect));
        let confidence = if by_contents || all_go_on { surest } else { Confidence::Possible };
        Some(Found { lines, confidence })
    }

    fn main(&self) -> &HeapSiteDiff {
        self.lines[0].site
    }

    /// The place of the function that allocates what this table has in it, the one of most bytes.
    fn contents(&self, all: &[Found<'_>]) -> Option<usize> {
        let fits = |(_, other): &(usize, &Found<'_>)| contents::fit(other.main(), self.main());
        let bytes = |found: &Found<'_>| found.main().growth.bytes();
        let most = all.iter().enumerate().filter(fits).max_by(|a, b| bytes(a.1).total_cmp(&bytes(b.1)));
        most.map(|(place, _)| place)
    }

    fn finding(&self, tables: &[&Found<'_>], params: &Params) -> Option<Finding> {
        let confidence = tables.iter().map(|table| table.confidence).fold(self.confidence, Confidence::max);
        let (first, others) = self.lines.split_first()?;
        let tables = tables.iter().map(|table| contents::evidence(self.main(), table.main())).collect();
        Some(first.finding(others, tables, confidence, params))
    }
}

/// Functions whose memory is more than before, the largest growth first.
fn suspects<'a>(facts: &Facts<'a>, params: &'a Params) -> impl Iterator<Item = Suspect<'a>> {
    let facts = *facts;
    let resident = ResidentRise::of(&facts, params);
    let heap = facts.over_time().and_then(|diff| Some((diff, diff.heap.as_ref()?)));
    heap.into_iter().flat_map(move |(diff, heap)| {
        let resident = resident.clone();
        heap.sites
            .iter()
            .filter_map(move |site| Suspect::of(facts, diff, heap, site, resident.as_ref(), params))
    })
}

impl Params {
    fn limits(&self) -> Limits {
        Limits {
            significance: self.significance,
            times_if_slowing: 2,
            times_if_few: Some(2),
            min_samples: self.min_samples,
            ..Limits::of_windows(self.min_windows, self.min_growth_s, self.min_window_bytes)
        }
    }
}

/// By the number of samples, by what they stand for, or by blocks so large that each is known and that doubled.
fn grows(site: &HeapSiteDiff, params: &Params) -> bool {
    let by_samples = site.growth.new.samples >= params.min_samples && is_no_churn(site, params.significance);
    // Too few samples to be sure of, and more than one would expect of chance.
    let may_grow = site.p <= FEW && site.growth.interval.low >= params.min_window_bytes as f64;
    let [was, is] = site.certain_bytes;
    let by_bytes = is >= was * 1.9 && is - was >= 3.0 * params.min_window_bytes as f64;
    site.growth.interval.low > 0.0 && (by_samples || by_bytes || may_grow)
}

/// By the number of samples, or by what they stand for.
pub(super) fn is_no_churn(site: &HeapSiteDiff, significance: f64) -> bool {
    site.p <= significance || site.deviations >= MIN_DEVIATIONS
}

/// New blocks came in the second half of the window too, at least a third as many as in the first:
/// a cache that has reached its limit takes none.
fn is_steady(site: &HeapSiteDiff) -> bool {
    site.new_late > 0 && site.new_late.saturating_mul(3) >= site.new_early
}

fn evidence(diff: &Diff, heap: &HeapDiff, site: &HeapSiteDiff) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::SamplesGrew {
        new_samples: site.growth.new.samples,
        gone_samples: site.growth.gone.samples,
        churn: Probability(site.p),
    }];
    let overdue = site.overdue;
    if overdue.before > 0 {
        evidence.push(Evidence::OldSamples {
            samples: overdue.before,
            usual_lifetimes: diff.options.stale_factor,
            freed: overdue.freed,
            window: diff.window(),
        });
    }
    evidence.push(Evidence::PartOfHeap {
        share: Percent(heap.after.share_percent(&site.growth.after)),
        mostly: site.after.kind(),
    });
    evidence.extend(super::heap_share::through(&site.after));
    evidence.extend(site.window.filter(|window| window.allocated_bytes > 0).map(|window| {
        Evidence::Allocated { allocated: Bytes(window.allocated_bytes), freed: Bytes(window.freed_bytes) }
    }));
    evidence.extend(super::heap_share::ages(&diff.now, &site.after));
    let of_ended_tasks = site.after.of_ended_tasks.sum;
    if of_ended_tasks > 0.0 {
        evidence.push(Evidence::OfEndedTasks { allocated: bytes(of_ended_tasks) });
    }
    let most = site.after.by_task_site.iter().max_by(|a, b| a.1.total_cmp(b.1));
    evidence.extend(most.map(|(spawned_at, &allocated)| Evidence::OfSpawnSite {
        allocated: bytes(allocated),
        spawned_at: spawned_at.clone(),
    }));
    evidence
}

/// An estimate as a size.
fn bytes(estimate: f64) -> Bytes {
    Bytes(estimate.max(0.0) as u64)
}

const DOC: &str = "\
The function is the innermost one on the stack that is neither allocator, collection nor runtime; where functions have no names
(a stripped binary), the innermost four frames together, by module and offset, which only mean the same in two snapshots of one
build. Bytes are estimates with a 95 % interval; a block of size s is sampled with probability p = 1 - exp(-s/R) and stands for
s/p.

- **Found when** the 95 % interval of the growth lies above zero, and it is no churn: at least `min_samples` samples are
  new, and the chance of new against gone samples is at most `significance` after adjustment for the number of functions
  (Benjamini and Hochberg), or what they stand for is 5 standard deviations away from blocks that come as often as they
  go; or, not to call clean what may well grow, that chance is at most 0.001 and the interval lies above `min_window_bytes`; or
  blocks so large that each is sampled have become almost twice as much. At one sample in 512 KiB a function of small
  blocks needs about 10 MiB of growth without churn.
- **Likely** in a series only, and when the growth goes on: it is looked for up to the last snapshot, from the first one on and
  from later ones. In each of `min_windows` windows of about the same length, `min_growth_s` together, it was at least
  `min_window_bytes` with an interval above zero, in the last not under half of the rate of any other nor of the time before, and its
  last sixth has not paused, nor has it between the last two snapshots if it did between no others, nor have blocks begun to go then, one
  for two that came: a cache that has come to its limit does so. It is no next tooth of a saw: it exceeds what it was before it fell. A window of six snapshots or more
  grew between more than two of them, and where blocks also go the last window is 3 standard deviations away from chance. Growth
  whose windows come down to less than three quarters of the first, none faster than the one before, is asked for twice
  `min_growth_s`, as what warms up does that. So is growth of few samples, up to a chance of 0.001 over all functions, where none was ever
  freed: time makes up for samples, and its windows need no interval above zero. A table that doubles is asked for three steps or more, no fall, one of them in the
  last window, and the next not overdue: a step takes as long as all before it. **Possible** otherwise.
- **One cause, one finding**: a table, all of whose growth is in large blocks, and what goes into it are told as the latter, where a
  thousand blocks or more came for each block of the table, as many as it has room for at 8 to 256 bytes an entry, and the tasks of
  one spawn site allocate both.
- **Who keeps it** is told first, and `held_by`, where the memory was swept (`diag snap --holders`): the path of pointers from what
  lives by itself (a static, a task, a thread) that at least half of the sampled blocks have, three or more. The advice is then about that.
- **Evidence**: what each window grew by, other lines of the function, the table that may keep the blocks, new and gone samples, what the old ones did, its share
  of the live heap and what kind most of it is part of, what was allocated and freed there in between, how old
  blocks were when they were freed and how old the oldest that lives is, bytes whose allocating task has ended, the spawn site
  that allocated most. The allocating task is not always the owner. A channel of tokio in which so many messages more are queued that the memory
  may be theirs, by the place that made it; the advice is then to bound it.
- **Counter-evidence**: that a cache may fill for longer; too short a time; growth that is uneven or slows down.
- **Risk**: how fast it grows, and when the limit of the control group or the policy's `memory_budget_bytes` is met, at the mean rate
  and at those of the slowest and the fastest window (of a pair, at the ends of the interval). Steps have no such rate.
- **Disproved by** a snapshot in which the function stopped growing (a cache that reached its limit).
- **Silent**: growth that ended before the last window, and growth of blocks that live tasks of one site hold, who became more
  and hold as much each as before; both are notes. Work in flight: no live block is older
  than 99 % of the freed ones were, unless it grows all the time and the oldest becomes older as time goes by.
- **Silent twins**: buffers that end with their task, a cache at its limit, tasks that come and hold a buffer each
  (`tests/heap_growth.rs`).

The interval is a gamma interval (Fay and Feuer 1997), which for equal weights is the exact Poisson interval; the
difference of new and gone follows Zou and Donner (2008). Simulated coverage is 96 % or more for fewer than 20 samples
and 95 to 97 % above; a test measures it.
";
