//! A snapshot in memory with what its pages need, each part made once and when first asked for.

use std::sync::OnceLock;

use diag_analysis::export::{self, Exporter};
use diag_analysis::site::{self, Site};
use diag_analysis::symbols::Note;
use diag_analysis::task_index::STATES;
use diag_analysis::unnamed::unnamed;
use diag_analysis::{Analysis, human};
use diag_diff::series::Member;
use diag_diff::{Finding, Policy, judge_one};
use diag_snapshot::{Damage, Micros, SiteIndex, Snapshot, TaskState};
use serde::Serialize;

use crate::flame::tree::{Frames, Tree};

/// A snapshot that was read.
pub(crate) struct Loaded {
    pub(crate) summary: Summary,
    pub(crate) analysis: Analysis,
    findings: OnceLock<Vec<Finding>>,
    trees: [OnceLock<Tree>; Frames::ALL.len()],
    parked_trees: [OnceLock<Tree>; Frames::ALL.len()],
}

/// What the overview and the head of each page say about a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The first 10 hex digits of its content id.
    pub(crate) id: String,
    /// Name of the file, or the agent that sent it.
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: u32,
    pub(crate) build_id: Option<String>,
    pub(crate) taken: String,
    pub(crate) uptime_ns: u64,
    pub(crate) tracked_tasks: u64,
    pub(crate) rss_bytes: Option<u64>,
    /// Estimated from the samples; none if the heap is not sampled.
    pub(crate) heap_bytes: Option<f64>,
    /// What of the file could not be read.
    pub(crate) lost: Vec<String>,
    /// Which names are missing, and which could not be used.
    pub(crate) without_names: Vec<String>,
    /// True if it was made of a CPU profile.
    #[serde(skip)]
    pub(crate) has_cpu: bool,
    #[serde(skip)]
    pub(crate) taken_unix_us: u64,
    #[serde(skip)]
    pub(crate) instance: u64,
}

impl Summary {
    /// The formats that the snapshot can be had in.
    pub(crate) fn exports(&self) -> impl Iterator<Item = &'static dyn Exporter> {
        export::ALL.iter().copied().filter(|format| self.has(*format))
    }

    /// True if the snapshot holds what the format is about.
    pub(crate) fn has(&self, format: &dyn Exporter) -> bool {
        format.needs().are_met(self.heap_bytes.is_some())
    }
}

impl Member for Summary {
    fn service(&self) -> &str {
        &self.service
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    fn taken_unix_us(&self) -> u64 {
        self.taken_unix_us
    }

    fn uptime_us(&self) -> u64 {
        self.uptime_ns / 1_000
    }
}

impl Loaded {
    pub(crate) fn new(
        id: String,
        name: String,
        snapshot: Snapshot,
        damages: &[Damage],
        notes: &[Note],
    ) -> Self {
        let summary = Summary::of(id, name, &snapshot, damages, notes);
        Loaded {
            summary,
            analysis: Analysis::new(snapshot),
            findings: OnceLock::new(),
            trees: Default::default(),
            parked_trees: Default::default(),
        }
    }

    /// What this snapshot shows by itself.
    pub(crate) fn findings(&self) -> &[Finding] {
        self.findings.get_or_init(|| judge_one(&self.analysis, &Policy::default()))
    }

    /// Its call stacks as a tree; none if the heap is not sampled.
    pub(crate) fn tree(&self, frames: Frames) -> Option<&Tree> {
        self.analysis.heap()?;
        Some(self.stacks_tree(frames))
    }

    /// All of its call stacks as a tree.
    pub(crate) fn stacks_tree(&self, frames: Frames) -> &Tree {
        let tree = &self.trees[frames as usize];
        tree.get_or_init(|| Tree::new(&[&self.analysis.stacks().named], frames, true))
    }

    /// The stacks of its parked tasks as a tree.
    pub(crate) fn parked_tree(&self, frames: Frames) -> &Tree {
        self.parked_trees[frames as usize].get_or_init(|| Tree::parked(&self.analysis, frames))
    }

    /// The site at a place of its site table.
    pub(crate) fn site(&self, index: SiteIndex) -> Option<Site> {
        site::sites(self.analysis.snapshot()).nth(index.0 as usize)
    }

    /// The place of the site that goes by this location.
    pub(crate) fn site_at(&self, location: &str) -> Option<u32> {
        let mut sites = (0..).zip(site::sites(self.analysis.snapshot()));
        sites.find(|(_, site)| site.to_string() == location).map(|(place, _)| place)
    }

    /// Where this snapshot has a site.
    pub(crate) fn site_index(&self, site: &Site) -> Option<SiteIndex> {
        let mut sites = (0..).map(SiteIndex).zip(site::sites(self.analysis.snapshot()));
        sites.find(|(_, other)| other == site).map(|(index, _)| index)
    }
}

impl Summary {
    fn of(id: String, name: String, snapshot: &Snapshot, damages: &[Damage], notes: &[Note]) -> Self {
        let process = &snapshot.process;
        Summary {
            id,
            name,
            service: process.service.clone(),
            host: process.host.clone(),
            pid: process.pid,
            build_id: process.build_id.clone(),
            taken: human::time(snapshot.taken_unix_us()),
            uptime_ns: Micros(snapshot.capture.to_us).as_nanos(),
            tracked_tasks: snapshot.live_tasks(),
            rss_bytes: snapshot.capture.resources.rss_bytes,
            heap_bytes: snapshot.heap.as_ref().map(diag_snapshot::Heap::live_bytes),
            lost: damages.iter().map(ToString::to_string).collect(),
            without_names: without_names(snapshot, notes),
            has_cpu: diag_analysis::cpu_stacks::is_profiled(snapshot),
            taken_unix_us: snapshot.taken_unix_us(),
            instance: process.instance,
        }
    }
}

fn without_names(snapshot: &Snapshot, notes: &[Note]) -> Vec<String> {
    unnamed(snapshot).iter().map(ToString::to_string).chain(notes.iter().map(ToString::to_string)).collect()
}

/// The states that a page lets choose from, and which of them is chosen.
pub(crate) fn state_choices(chosen: &str) -> impl Iterator<Item = (&'static str, bool)> {
    let known = STATES.into_iter().filter(|&state| state != TaskState::Unknown);
    known.map(move |state| (state.as_str(), state.as_str() == chosen))
}
