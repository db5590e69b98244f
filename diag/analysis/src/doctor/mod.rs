//! Whether a service is set up so that its snapshots show what they could: the settings in force and who set them, how
//! much is covered, how good the names are, and each thing that is off, with its mend.
//!
//! Facts alone are looked at, those of one snapshot, or of a question that got no snapshot. What is wrong with the
//! service itself is for the rules to say, which need two of them.

mod complaint;
mod symbols;

use diag_snapshot::{Part, PartState, Setting, SettingSource, SiteKind, Snapshot};
use serde::Serialize;

use crate::Analysis;
use crate::unnamed::unnamed;

pub use complaint::{Complaint, Severity};
pub use symbols::SymbolQuality;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "diag.doctor/1";

/// What one snapshot says of how its service is set up.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Checkup {
    /// Name of the service.
    pub service: String,
    /// Version of its recorder.
    pub diag_version: String,
    /// The settings in force, and who set each.
    pub settings: Vec<Setting>,
    /// The parts of the recorder, and what each did.
    pub parts: Vec<Part>,
    /// Live tasks that the recorder follows.
    pub tracked_tasks: u64,
    /// Live tasks that the runtimes count; none if they do not say.
    pub alive_tasks: Option<u64>,
    /// Share of the live tasks that the recorder follows; none if it cannot be known.
    pub coverage_percent: Option<f64>,
    /// How well functions and lines are known.
    pub symbols: SymbolQuality,
    /// What keeps it from showing more, the worst first.
    pub complaints: Vec<Complaint>,
}

impl Checkup {
    /// Looks a snapshot over.
    pub fn of(analysis: &Analysis) -> Self {
        let snapshot = analysis.snapshot();
        let coverage = analysis.coverage();
        let symbols = SymbolQuality::of(snapshot);
        let mut complaints = Look { snapshot }.complaints(&symbols);
        // A stable order: those of one severity stay as they were found.
        complaints.sort_by_key(Complaint::severity);
        Checkup {
            service: snapshot.process.service.clone(),
            diag_version: snapshot.process.diag_version.clone(),
            settings: snapshot.capture.settings.clone(),
            parts: snapshot.capture.parts.clone(),
            tracked_tasks: coverage.tracked_tasks,
            alive_tasks: coverage.alive_tasks,
            coverage_percent: coverage.share().map(|share| share * 100.0),
            symbols,
            complaints,
        }
    }
}

/// Below this share of the live tasks, in percent, what is not covered is worth a word.
const WELL_COVERED_PERCENT: f64 = 90.0;

struct Look<'a> {
    snapshot: &'a Snapshot,
}

impl Look<'_> {
    fn complaints(&self, symbols: &SymbolQuality) -> Vec<Complaint> {
        let snapshot = self.snapshot;
        if snapshot.capture.parts.is_empty() {
            let version = snapshot.process.diag_version.clone();
            return [vec![Complaint::TellsNoSettings { version }], self.of_names(symbols)].concat();
        }
        if snapshot.capture.settings.is_empty() {
            return vec![Complaint::NotStarted];
        }
        if let Some(from) = self.off("DIAG") {
            return vec![Complaint::SwitchedOff { from }];
        }
        let parts = [self.of_runtimes(), self.of_coverage(), self.of_heap(), self.of_names(symbols)];
        let mut all = parts.concat();
        all.extend(self.off("DIAG_PARKED").map(|from| Complaint::ParkedOff { from }));
        all.extend(self.of_parts());
        all.extend(
            crate::not_recorded(&snapshot.capture).map(|sentence| Complaint::NotRecorded { sentence }),
        );
        if snapshot.process.debug_build {
            all.push(Complaint::DebugBuild);
        }
        all
    }

    /// Who switched it off, if somebody did.
    fn off(&self, variable: &str) -> Option<SettingSource> {
        let of_name = |setting: &&Setting| setting.variable == variable && setting.value == "off";
        self.snapshot.capture.settings.iter().find(of_name).map(|setting| setting.from)
    }

    fn state(&self, part: &str) -> Option<&Part> {
        self.snapshot.capture.parts.iter().find(|known| known.name == part)
    }

    fn of_runtimes(&self) -> Vec<Complaint> {
        let runtimes = &self.snapshot.capture.runtimes;
        if runtimes.is_empty() {
            return vec![Complaint::NoRuntime];
        }
        let mut all = Vec::new();
        let foreign = self.tasks_of_other_runtimes();
        if foreign > 0 {
            let known = runtimes.iter().map(|runtime| runtime.name.clone()).collect();
            all.push(Complaint::SecondRuntime { tasks: foreign, known });
        }
        let versions = symbols::tokio_versions(self.snapshot);
        if versions.len() > 1 {
            all.push(Complaint::TwoTokios { versions: versions.clone() });
        }
        if runtimes.iter().any(|runtime| runtime.workers > 0 && runtime.busy_by_worker_ns.is_empty()) {
            all.push(Complaint::OldTokio { version: versions.into_iter().next() });
        }
        all
    }

    /// Recorded tasks that no known runtime counts, and tasks of libraries whose memory names another one.
    fn tasks_of_other_runtimes(&self) -> u64 {
        let snapshot = self.snapshot;
        let alive = snapshot.capture.runtimes.iter().map(|runtime| runtime.alive_tasks);
        let alive = alive.sum::<Option<u64>>();
        let uncounted = alive.map_or(0, |alive| {
            let counted = alive.saturating_add(snapshot.tracked_churn());
            snapshot.tracked_tasks().saturating_sub(counted)
        });
        let is_of_library: Vec<bool> = snapshot.sites.iter().map(|site| site.is_of_library()).collect();
        let of_library = |site: u32| is_of_library.get(site as usize).copied().unwrap_or(false);
        let tasks = snapshot.tasks.site().iter().zip(snapshot.tasks.runtime().iter());
        let foreign = tasks.filter(|(site, runtime)| runtime.is_none() && of_library(site.0));
        uncounted.saturating_add(foreign.count() as u64)
    }

    fn of_coverage(&self) -> Vec<Complaint> {
        let coverage = crate::Coverage::of(self.snapshot);
        let (Some(share), Some(untracked)) = (coverage.share(), coverage.untracked_tasks()) else {
            return Vec::new();
        };
        match coverage.tracked_tasks {
            0 if untracked > 0 => vec![Complaint::NothingTracked { tasks: untracked }],
            tracked if share * 100.0 < WELL_COVERED_PERCENT => {
                vec![Complaint::LowCoverage { tracked, untracked, percent: share * 100.0 }]
            }
            _ => Vec::new(),
        }
    }

    fn of_heap(&self) -> Vec<Complaint> {
        let mut all = Vec::new();
        let samples = self.state("heap sampler").is_some_and(|part| part.state == PartState::Works);
        match self.off("DIAG_HEAP") {
            Some(from) => all.push(Complaint::HeapOff { from }),
            // The sampler is ready, and no allocation reaches it.
            None if samples && self.snapshot.heap.is_none() => all.push(Complaint::NoAllocator),
            None => {}
        }
        all.extend(self.off("DIAG_CENSUS").map(|from| Complaint::CensusOff { from }));
        if self.snapshot.heap.as_ref().is_some_and(|heap| heap.facts.unwinder == "caller-only") {
            all.push(Complaint::CallerOnly);
        }
        all
    }

    fn of_names(&self, symbols: &SymbolQuality) -> Vec<Complaint> {
        let stripped = unnamed(self.snapshot);
        let mut all: Vec<Complaint> = stripped.into_iter().map(Complaint::Stripped).collect();
        // Of what is stripped, lines are missing with the names.
        if all.is_empty() && symbols.functions > 0 && symbols.with_line.saturating_mul(2) < symbols.functions
        {
            all.push(Complaint::NoLines { functions: symbols.functions, with_line: symbols.with_line });
        }
        all
    }

    /// Parts that are off for another reason than those that were named.
    fn of_parts(&self) -> Vec<Complaint> {
        let is_said = |part: &Part| match part.name.as_str() {
            // Nobody needs a folder.
            "files" => true,
            "heap sampler" => self.off("DIAG_HEAP").is_some(),
            // It says so where there is no allocator, or it was switched off.
            "census" => {
                self.off("DIAG_CENSUS").is_some()
                    || (self.snapshot.heap.is_none() && !self.has_library_tasks())
            }
            "parked stacks" => self.off("DIAG_PARKED").is_some(),
            _ => false,
        };
        let parts = self.snapshot.capture.parts.iter().filter_map(|part| {
            let why = part.why.clone().unwrap_or_else(|| "it does not say why".to_owned());
            match part.state {
                PartState::Off if !is_said(part) => Some(Complaint::PartOff { part: part.name.clone(), why }),
                // One that failed is among what was not recorded, with its sentence.
                _ => None,
            }
        });
        parts.collect()
    }

    fn has_library_tasks(&self) -> bool {
        self.snapshot.sites.kind().iter().flatten().any(SiteKind::is_of_library)
    }
}

/// The JSON document of a checkup.
#[derive(Serialize)]
pub struct CheckupView<'a> {
    schema: &'static str,
    service: &'a str,
    diag_version: &'a str,
    settings: Vec<SettingView<'a>>,
    parts: Vec<PartView<'a>>,
    tracked_tasks: u64,
    alive_tasks: Option<u64>,
    coverage_percent: Option<f64>,
    symbols: &'a SymbolQuality,
    complaints: Vec<ComplaintView>,
}

#[derive(Serialize)]
struct SettingView<'a> {
    variable: &'a str,
    value: &'a str,
    from: &'static str,
}

#[derive(Serialize)]
struct PartView<'a> {
    part: &'a str,
    state: &'static str,
    why: Option<&'a str>,
}

/// A complaint as JSON has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComplaintView {
    kind: &'static str,
    severity: &'static str,
    text: String,
    mend: String,
}

impl From<&Complaint> for ComplaintView {
    fn from(complaint: &Complaint) -> Self {
        ComplaintView {
            kind: complaint.kind(),
            severity: complaint.severity().as_str(),
            text: complaint.to_string(),
            mend: complaint.mend(),
        }
    }
}

impl<'a> From<&'a Checkup> for CheckupView<'a> {
    fn from(checkup: &'a Checkup) -> Self {
        let setting = |setting: &'a Setting| SettingView {
            variable: &setting.variable,
            value: &setting.value,
            from: setting.from.as_str(),
        };
        let part = |part: &'a Part| PartView {
            part: &part.name,
            state: part.state.as_str(),
            why: part.why.as_deref(),
        };
        CheckupView {
            schema: SCHEMA,
            service: &checkup.service,
            diag_version: &checkup.diag_version,
            settings: checkup.settings.iter().map(setting).collect(),
            parts: checkup.parts.iter().map(part).collect(),
            tracked_tasks: checkup.tracked_tasks,
            alive_tasks: checkup.alive_tasks,
            coverage_percent: checkup.coverage_percent,
            symbols: &checkup.symbols,
            complaints: checkup.complaints.iter().map(ComplaintView::from).collect(),
        }
    }
}
