//! What is run, and what `diag check` is to say of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use diag_analysis::Analysis;
use diag_diff::{Outcome, Policy, Report, Series, judge_series};
use diag_snapshot::file;

use crate::guarded::Guarded;
use crate::truth::{self, Truth};
use crate::wanted::Wanted;

/// A run of a service.
#[derive(Clone, Debug)]
pub struct Case {
    /// The fault's name, or the load's.
    pub name: String,
    /// What the program is given behind `run DIR`.
    pub arguments: Vec<String>,
    /// What is right to say of its fault; none of a healthy run.
    pub wanted: Option<Wanted>,
    /// The exit codes of the program that are right.
    pub exits: &'static [i32],
    /// What its leak guard is to say, if it has one.
    pub guarded: Option<Guarded>,
}

/// What was said of a case.
pub struct Answer {
    /// So many snapshots were enough for it.
    pub snapshots: usize,
    /// True if the fault was found where it is with the words that are wanted, or nothing was found of a healthy run.
    pub is_right: bool,
    /// All that was said.
    pub report: Report,
    /// What the service itself knows.
    pub truth: Truth,
}

impl Case {
    /// A run with a fault and what is right to say of it, or a healthy one.
    pub fn new(fault: Option<(String, Wanted)>, load: String, exits: &'static [i32]) -> Self {
        let arguments = ["--load".to_owned(), load.clone()];
        match fault {
            None => Case {
                name: format!("healthy, {load}"),
                arguments: arguments.into(),
                wanted: None,
                exits,
                guarded: None,
            },
            Some((name, wanted)) => {
                let arguments = ["--fault".to_owned(), name.clone()].into_iter().chain(arguments).collect();
                Case { name, arguments, wanted: Some(wanted), exits, guarded: None }
            }
        }
    }

    /// The same, of a program that has a leak guard.
    pub fn with_guard(self, guarded: Guarded) -> Self {
        Case { guarded: Some(guarded), ..self }
    }

    /// Judges what a run of it has written.
    ///
    /// # Errors
    /// If there are fewer than two snapshots, or one is damaged.
    pub fn judge(&self, dir: &Path, policy: &Policy) -> anyhow::Result<Answer> {
        let snapshots = snapshots(dir)?;
        ensure!(snapshots.len() > 1, "{}: fewer than two snapshots", dir.display());
        let truth: Truth = truth::read(dir)?;
        // As soon as it can be told, and as it is told of all.
        let is_right_of = |few: &usize| {
            report(&snapshots[..*few], policy).is_ok_and(|report| self.is_right(&report, &truth))
        };
        let enough = (2..snapshots.len()).find(is_right_of);
        let report = report(&snapshots, policy)?;
        let is_right = self.is_right(&report, &truth);
        Ok(Answer { snapshots: enough.unwrap_or(snapshots.len()), is_right, report, truth })
    }

    fn is_right(&self, report: &Report, truth: &Truth) -> bool {
        match self.wanted {
            None => !report.fails && report.outcome == Outcome::Clean,
            Some(wanted) => report.fails && wanted.found(report, &truth.lines).is_some(),
        }
    }
}

fn report(snapshots: &[Analysis], policy: &Policy) -> anyhow::Result<Report> {
    let series = Series::as_given(snapshots.iter().collect())?;
    judge_series(&series, policy)?.context("fewer than two snapshots")
}

fn snapshots(dir: &Path) -> anyhow::Result<Vec<Analysis>> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
    paths.sort();
    let read = |path: &PathBuf| {
        let (snapshot, damage) = file::read(path)?;
        ensure!(damage.is_empty(), "{}: {damage:?}", path.display());
        Ok(Analysis::new(snapshot))
    };
    paths.iter().map(read).collect()
}
