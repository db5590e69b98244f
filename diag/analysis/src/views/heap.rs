//! The heap of one snapshot, ready to be shown: the one view behind `diag show` and the page of the heap.

use std::sync::Arc;

use diag_snapshot::SiteIndex;
use serde::Serialize;

use super::Estimate;
use crate::Analysis;
use crate::heap_profile::{AllocStats, FunctionProfile, HeapProfile, Live, TaskSiteProfile};
use crate::human::{self, signed_bytes};
use crate::lifetimes::Lifetimes;
use crate::weighted_sum::WeightedSum;

/// What the sampled heap of one snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeapNow {
    /// Everything that lives.
    #[serde(flatten)]
    pub live: LiveNow,
    /// Mean bytes between two samples.
    pub rate_bytes: u64,
    /// How stacks were taken.
    pub unwinder: String,
    /// Live bytes not allocated by a task that the recorder follows.
    pub of_no_task: Estimate,
    /// Live bytes that ended tasks allocated.
    pub of_ended_tasks: Estimate,
    /// The same by how these ended.
    pub of_ended_tasks_by_outcome: Vec<OutcomeBytes>,
    /// Allocated and freed since start.
    pub since_start: AllocStats,
    /// By what the blocks are part of, the most live bytes first.
    pub kinds: Vec<KindNow>,
    /// By allocating function.
    pub functions: Vec<FunctionNow>,
    /// Functions that are not in the list.
    pub unlisted_functions: u64,
    /// By spawn site of the allocating task, the most live bytes first.
    pub task_sites: Vec<TaskSiteNow>,
    /// Spawn sites that are not in the list.
    pub unlisted_task_sites: u64,
}

/// Live blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LiveNow {
    /// Their bytes.
    pub live: Estimate,
    /// Their number.
    pub live_blocks: BlockEstimate,
    /// Samples that this was estimated from.
    pub samples: u64,
}

/// A number of blocks known within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlockEstimate {
    /// The best guess.
    pub estimate_blocks: u64,
    /// Lower end of the 95 % interval.
    pub low_blocks: u64,
    /// Upper end of the 95 % interval.
    pub high_blocks: u64,
}

/// Live bytes of tasks that ended in one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OutcomeBytes {
    /// How they ended.
    pub outcome: &'static str,
    /// Live bytes.
    pub live: Estimate,
}

/// Live blocks of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KindNow {
    /// What they are part of.
    pub kind: &'static str,
    /// How much that is.
    #[serde(flatten)]
    pub live: LiveNow,
    /// Of all live bytes, in percent.
    pub share_percent: f64,
}

/// What one function allocates.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FunctionNow {
    /// Function name.
    pub name: String,
    /// `file:line`, or the function again.
    pub location: String,
    /// What most of its live bytes are part of.
    pub kind: &'static str,
    /// What lives.
    #[serde(flatten)]
    pub live: LiveNow,
    /// Of all live bytes, in percent.
    pub share_percent: f64,
    /// Live bytes whose allocating task has ended.
    pub of_ended_tasks: Estimate,
    /// Allocated and freed since start.
    pub since_start: AllocStats,
    /// At what age blocks were freed; none if none was seen to be.
    pub age_at_free: Option<AgeAtFree>,
    /// The stack of most of the live bytes, innermost first.
    pub stack: Vec<String>,
}

/// What the tasks of one spawn site allocated.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskSiteNow {
    /// `file:line:column`.
    pub location: String,
    /// Type of the spawned future.
    pub name: String,
    /// Live bytes that live tasks allocated, their own cells included.
    pub of_live_tasks: Estimate,
    /// The same without their cells.
    pub beside_cells: Estimate,
    /// Live bytes that ended tasks allocated.
    pub of_ended_tasks: Estimate,
    /// Allocated and freed since start, by whomever.
    pub since_start: AllocStats,
    /// At what age that was freed; none if nothing was seen to be.
    pub age_at_free: Option<AgeAtFree>,
}

/// How old blocks were when they were freed. Lifetimes are known by powers of two of milliseconds, so these
/// are upper edges; none beyond the last that the recorder tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AgeAtFree {
    /// Freed samples that tell it.
    pub samples: u64,
    /// Half of them were younger.
    pub p50_under_ns: Option<u64>,
    /// Nine of ten were younger.
    pub p90_under_ns: Option<u64>,
}

impl Analysis {
    /// Returns the heap with some of its functions, in the order that they come in, and at most so many spawn sites;
    /// none if it is not sampled.
    pub fn heap_view<'a>(
        &'a self,
        functions: impl IntoIterator<Item = &'a Arc<FunctionProfile>>,
        most_sites: usize,
    ) -> Option<HeapNow> {
        Some(HeapNow::new(self.heap()?, functions, most_sites))
    }
}

impl HeapNow {
    fn new<'a>(
        profile: &HeapProfile,
        functions: impl IntoIterator<Item = &'a Arc<FunctionProfile>>,
        most_sites: usize,
    ) -> Self {
        let of = |sum: &WeightedSum| Estimate::of(sum, profile.unseen_bytes);
        let functions: Vec<FunctionNow> =
            functions.into_iter().map(|function| FunctionNow::new(function, profile)).collect();
        let outcomes = profile.by_outcome.iter();
        HeapNow {
            live: LiveNow::new(&profile.live, profile),
            rate_bytes: profile.rate_bytes,
            unwinder: profile.unwinder.clone(),
            of_no_task: of(&profile.of_no_task),
            of_ended_tasks: of(&profile.of_ended_tasks),
            of_ended_tasks_by_outcome: outcomes
                .map(|(outcome, sum)| OutcomeBytes { outcome: outcome.as_str(), live: of(sum) })
                .collect(),
            since_start: profile.since_start,
            kinds: kinds(profile),
            unlisted_functions: profile.functions.len().saturating_sub(functions.len()) as u64,
            functions,
            task_sites: task_sites(profile, most_sites),
            unlisted_task_sites: profile.task_sites.len().saturating_sub(most_sites) as u64,
        }
    }

    /// What ended tasks hold, in a sentence; none if they hold nothing.
    pub fn ended_tasks(&self) -> Option<String> {
        let ways = self.of_ended_tasks_by_outcome.iter();
        let ways: Vec<String> = ways.map(|way| format!("{} {}", way.outcome, way.live.estimate())).collect();
        (!ways.is_empty()).then(|| {
            format!(
                "{} (95 %: {}) of it were allocated by tasks that have ended: {}",
                self.of_ended_tasks.estimate(),
                self.of_ended_tasks.interval(),
                ways.join(", ")
            )
        })
    }
}

impl HeapProfile {
    /// Returns the live bytes that the live tasks of a spawn site allocated, and those of its ended ones.
    pub fn allocated_at(&self, site: SiteIndex) -> (Estimate, Estimate) {
        let allocated = self.task_site(site);
        let of = |sum: fn(&TaskSiteProfile) -> WeightedSum| {
            Estimate::of(&allocated.map(sum).unwrap_or_default(), self.unseen_bytes)
        };
        (of(|site| site.of_live_tasks), of(|site| site.of_ended_tasks))
    }
}

impl LiveNow {
    /// Returns a part of what lives in a heap.
    pub fn new(live: &Live, profile: &HeapProfile) -> Self {
        // Blocks that were not seen could be of one byte each: they are taken to be no smaller than those that were.
        let unseen_blocks = live.blocks.largest().unwrap_or(profile.unseen_bytes);
        let blocks = Estimate::of(&live.blocks, unseen_blocks);
        let [estimate_blocks, low_blocks, high_blocks] =
            [blocks.estimate_bytes, blocks.low_bytes, blocks.high_bytes].map(|blocks| blocks.round() as u64);
        LiveNow {
            live: Estimate::of(&live.bytes, profile.unseen_bytes),
            live_blocks: BlockEstimate { estimate_blocks, low_blocks, high_blocks },
            samples: live.bytes.samples,
        }
    }
}

impl FunctionNow {
    fn new(function: &FunctionProfile, profile: &HeapProfile) -> Self {
        FunctionNow {
            name: function.place.function.to_string(),
            location: function.place.location(),
            kind: function.kind().as_str(),
            live: LiveNow::new(&function.live, profile),
            share_percent: profile.share_percent(&function.live.bytes),
            of_ended_tasks: Estimate::of(&function.of_ended_tasks, profile.unseen_bytes),
            since_start: function.since_start,
            age_at_free: AgeAtFree::of(&function.ages),
            stack: function.stack.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TaskSiteNow {
    fn new(site: &TaskSiteProfile, profile: &HeapProfile) -> Self {
        TaskSiteNow {
            location: site.site.to_string(),
            name: site.site.type_name.clone(),
            of_live_tasks: Estimate::of(&site.of_live_tasks, profile.unseen_bytes),
            beside_cells: Estimate::of(&site.beside_cells, profile.unseen_bytes),
            of_ended_tasks: Estimate::of(&site.of_ended_tasks, profile.unseen_bytes),
            since_start: site.since_start,
            age_at_free: AgeAtFree::of(&site.ages),
        }
    }
}

fn kinds(profile: &HeapProfile) -> Vec<KindNow> {
    let mut kinds: Vec<KindNow> = (profile.kinds.iter())
        .map(|(kind, live)| KindNow {
            kind: kind.as_str(),
            live: LiveNow::new(live, profile),
            share_percent: profile.share_percent(&live.bytes),
        })
        .collect();
    kinds.sort_by(|a, b| b.share_percent.total_cmp(&a.share_percent));
    kinds
}

fn task_sites(profile: &HeapProfile, most: usize) -> Vec<TaskSiteNow> {
    let mut sites: Vec<&TaskSiteProfile> = profile.task_sites.iter().collect();
    let live = |site: &TaskSiteProfile| site.of_live_tasks.sum + site.of_ended_tasks.sum;
    sites.sort_by(|a, b| live(b).total_cmp(&live(a)));
    sites.into_iter().take(most).map(|site| TaskSiteNow::new(site, profile)).collect()
}

impl AgeAtFree {
    /// The recorder's last bucket, which is open above.
    const LAST_BUCKET: u32 = 23;

    /// Returns how old these were; none if there are none.
    pub fn of(ages: &Lifetimes) -> Option<Self> {
        let under_ns = |percent| {
            ages.bucket_of(percent).filter(|&bucket| bucket < Self::LAST_BUCKET)?;
            ages.within_us(percent).map(super::ns)
        };
        let samples = ages.count();
        (samples > 0).then(|| AgeAtFree { samples, p50_under_ns: under_ns(50), p90_under_ns: under_ns(90) })
    }

    /// How old half of them were at most: `under 2 s`.
    pub fn typical(&self) -> String {
        under(self.p50_under_ns)
    }

    /// How old nine of ten were at most.
    pub fn most(&self) -> String {
        under(self.p90_under_ns)
    }
}

fn under(ns: Option<u64>) -> String {
    ns.map_or("over 2 h".to_owned(), |ns| format!("under {}", human::duration(ns)))
}

/// Heads of the columns that people see.
pub const HEADS: [&str; 8] =
    ["live", "95 %", "blocks", "allocated", "freed", "age at free", "part of", "allocated in"];

/// The cells under [`HEADS`].
pub fn cells(function: &FunctionNow) -> [String; 8] {
    let place = if function.location == function.name { "" } else { &function.location };
    [
        signed_bytes(function.live.live.estimate_bytes),
        function.live.live.interval(),
        human::count(function.live.live_blocks.estimate_blocks),
        human::bytes(function.since_start.allocated_bytes),
        human::bytes(function.since_start.freed_bytes),
        function.age_at_free.map_or("-".to_owned(), |age| age.typical()),
        function.kind.to_owned(),
        format!("{}  {place}", human::name(&function.name)).trim_end().to_owned(),
    ]
}
