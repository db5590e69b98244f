//! What is run, and what `diag check` is to say of it.

use std::path::Path;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use diag_analysis::Analysis;
use diag_diff::report::text;
use diag_diff::{Confidence, Finding, Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::file;

use crate::{Fault, Load, Truth};

/// For runs of 18 s: the default asks of what nobody ever ended, and of memory, that it goes on for half a minute.
pub const POLICY: &str = include_str!("../diag.toml");

/// A run of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The mistake; none of a healthy twin.
    pub fault: Option<Fault>,
    /// What the clients do.
    pub load: Load,
}

/// What is right to say of a fault: one of the rules that may find it, and words of which the finding has all.
struct Wanted {
    rules: &'static [&'static str],
    words: &'static [&'static str],
}

fn wanted(fault: Fault) -> Wanted {
    let (rules, words): (&[_], &[_]) = match fault {
        Fault::ClientPerCall => (&["task-leak"], &["one after the other", "request_id"]),
        Fault::StuckSingleton => (&["resource-leak"], &["S3 connection", "not given back"]),
        // Soon its waiters are known to wait for longer than any before; some seconds later, that nobody gives back.
        Fault::ForgottenPermit => (&["stuck-giving", "task-leak"], &["waits for: semaphore", "permit"]),
        Fault::NoDeadline => {
            (&["task-leak"], &["waits for: oneshot in hyper_util", "a timeout", "request_id"])
        }
        Fault::BodyNotDrained => (&["resource-leak"], &["OpenBod", "were to be dropped within"]),
        Fault::CancelNotPassed => {
            (&["straggler"], &["its client gave it up", "nothing that they wait for was told of the cancel"])
        }
        Fault::OrphanedParts => (&["resource-leak"], &["OpenMultipart", "were to be dropped within"]),
        Fault::ReloadWatcher => (&["task-leak"], &["and 0 ended", "one after the other"]),
        Fault::DeadEvictor => (&["panicked"], &["evict", "1 panicked", "none of them is left"]),
        Fault::IdleKeys => (&["heap-growth"], &["Idle::with_buffer", "0 freed", "of the kind Vec"]),
    };
    Wanted { rules, words }
}

/// All cases: the faults, and the healthy loads.
pub fn all() -> Vec<Case> {
    let faults = Fault::value_variants().iter().map(|&fault| Case { fault: Some(fault), load: Load::Mixed });
    let twins = Load::value_variants().iter().map(|&load| Case { fault: None, load });
    faults.chain(twins).collect()
}

impl Case {
    /// The fault's name, or the load's.
    pub fn name(&self) -> String {
        self.fault.map_or_else(|| format!("healthy, {}", self.load.name()), Fault::name)
    }

    /// What `objgate run DIR` is given for it.
    pub fn arguments(&self) -> Vec<String> {
        let fault = self.fault.map(|fault| ["--fault".to_owned(), fault.name()]);
        let load = ["--load".to_owned(), self.load.name()];
        fault.into_iter().flatten().chain(load).collect()
    }

    /// Judges what a run of it has written.
    ///
    /// # Errors
    /// If there are fewer than two snapshots, or one is damaged.
    pub fn judge(&self, dir: &Path, policy: &Policy) -> anyhow::Result<Answer> {
        let snapshots = snapshots(dir)?;
        ensure!(snapshots.len() > 1, "{}: fewer than two snapshots", dir.display());
        let truth = std::fs::read_to_string(dir.join("truth.json"))?;
        let truth: Truth = serde_json::from_str(&truth)?;
        // As soon as it can be told, and as it is told of all.
        let enough =
            (2..snapshots.len()).find(|&few| self.is_right(&report(&snapshots[..few], policy), &truth));
        let report = report(&snapshots, policy)?;
        let is_right = self.is_right(&Ok(report.clone()), &truth);
        Ok(Answer { snapshots: enough.unwrap_or(snapshots.len()), is_right, report, truth })
    }

    fn is_right(&self, report: &anyhow::Result<Report>, truth: &Truth) -> bool {
        let Ok(report) = report else { return false };
        match self.fault {
            None => !report.fails && report.outcome == Outcome::Clean,
            Some(fault) => report.fails && found(report, fault, truth).is_some(),
        }
    }
}

/// What was said of a case.
pub struct Answer {
    /// So many snapshots were enough for it.
    pub snapshots: usize,
    /// True if the fault was found where it is with the words that are wanted, or nothing was found of a healthy run.
    pub is_right: bool,
    /// All that was said.
    pub report: Report,
    /// What the gateway itself knows.
    pub truth: Truth,
}

/// The finding of a fault: by its rule, sure, at its line, in the right words.
pub fn found<'a>(report: &'a Report, fault: Fault, truth: &Truth) -> Option<&'a Finding> {
    let Wanted { rules, words } = wanted(fault);
    let text = text::render(report);
    let is_right = |finding: &&Finding| {
        let place = finding.subject.location();
        let is_there = |line: &String| place == *line || place.starts_with(&format!("{line}:"));
        let said = text.split("\n\n").find(|said| said.contains(&finding.id)).unwrap_or_default();
        rules.contains(&finding.rule)
            && finding.confidence >= Confidence::Likely
            && truth.lines.iter().any(is_there)
            && words.iter().all(|word| said.contains(word))
    };
    report.findings.iter().find(is_right)
}

fn report(snapshots: &[Analysis], policy: &Policy) -> anyhow::Result<Report> {
    let series = Series::as_given(snapshots.iter().collect())?;
    judge_series(&series, policy)?.context("fewer than two snapshots")
}

fn snapshots(dir: &Path) -> anyhow::Result<Vec<Analysis>> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let (snapshot, damage) = file::read(path)?;
        ensure!(damage.is_empty(), "{}: {damage:?}", path.display());
        Ok(Analysis::new(snapshot))
    };
    paths.iter().map(read).collect()
}
