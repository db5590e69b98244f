//! A judged diff, ready to be shown: the one view behind text, JSON and Markdown.
//!
//! Numbers agree between the formats because none of them computes any. The field names are those
//! of the JSON document: durations `_ns`, sizes `_bytes`, times RFC 3339, and what is not known is
//! null. Nothing is written anywhere from here; callers get strings.
//!
//! Version 2 of the document says all that a rule has to say as objects: evidence, advice, risk, what is waited for, who
//! holds, reasons and notes are each `{ "kind": .., its values.., "text": .. }`, where the keys of values end with their
//! unit (`_ns`, `_bytes`, `_per_s`, `_ratio`, `_percent`, `_p`) and `text` is the sentence that people read. The keys
//! `answer`, `class` and `grade` of version 1 are `outcome`, `category` and `confidence`, and of the tables `born`, `chance`
//! and `container` are `new`, `p` and `kind`. Its JSON Schema is `report.schema.json` beside this crate.

mod change;
pub mod course;
pub mod explain;
mod heap;
pub mod json;
pub mod lines;
pub mod log;
pub mod markdown;
mod memory;
pub mod pipeline;
mod sites;
pub mod text;
pub mod trend;
pub mod words;

use diag_analysis::human;
use diag_snapshot::Micros;
use serde::Serialize;

use crate::diff::{Diff, Side};
use crate::outcome::Outcome;
use crate::policy::{Allowed, Policy};
use crate::rules;
use crate::rules::fact::Percent;
use crate::rules::finding::{Confidence, Finding};
use crate::rules::reason::Reason;
use crate::rules::remark::Remark;
use crate::rules::risk::Risk;
use crate::rules::rule::Facts;
use crate::time::timestamp;
use diag_analysis::views::Memory;

pub use change::Change;
pub use heap::{GrowthBytes, HeapChange, HeapSiteChange, TaskSiteBytes};
pub use memory::PartChange;
pub use sites::{SiteChange, SpreadNs};

/// Name and version of the JSON document.
pub const SCHEMA: &str = "diag.report/2";

/// What two snapshots say, under a policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The answer as a whole.
    pub outcome: Outcome,
    /// True if a check fails because of a finding.
    pub fails: bool,
    /// Least confidence at which a finding fails a check.
    pub fail_on: Confidence,
    /// Why these snapshots are too little to be called clean; empty if they are not.
    pub reasons: Vec<Reason>,
    /// Name of the service.
    pub service: String,
    /// True if tasks could be followed by id.
    pub same_process: bool,
    /// From the first snapshot to the second; negative if they were given in reverse.
    pub window_ns: i64,
    /// The first snapshot.
    pub before: Moment,
    /// The second snapshot.
    pub after: Moment,
    /// Where resident memory was and is; empty unless known of both.
    pub memory: Vec<PartChange>,
    /// What was found, the surest first.
    pub findings: Vec<Finding>,
    /// What was found and the policy allows.
    pub allowed: Vec<Allowed>,
    /// What a reader should know besides.
    pub notes: Vec<Remark>,
    /// Every spawn site, the largest change first.
    pub sites: Vec<SiteChange>,
    /// The sampled heap; none unless both snapshots have one.
    pub heap: Option<HeapChange>,
}

/// What a check comes to.
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) allowed: Vec<Allowed>,
    /// What the policy has to say.
    pub(crate) remarks: Vec<Remark>,
    pub(crate) reasons: Vec<Reason>,
}

/// One of the two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// When it was taken.
    pub taken: Option<jiff::Timestamp>,
    /// How long the process had been running.
    pub uptime_ns: u64,
    /// Operating system's process id.
    pub pid: u32,
    /// Tasks that the recorder follows.
    pub tracked_tasks: u64,
    /// Tasks that it does not follow, if their number is known.
    pub untracked_tasks: Option<u64>,
    /// Share of the live tasks that it follows, in percent.
    pub coverage_percent: Option<f64>,
    /// Where its resident memory is; none if that could not be read.
    pub memory: Option<Memory>,
}

impl Report {
    pub(crate) fn new(facts: &Facts<'_>, diff: &Diff, policy: &Policy, found: Found) -> Self {
        let Found { findings, allowed, remarks, reasons } = found;
        Report {
            schema: SCHEMA,
            outcome: Outcome::of(&findings, !allowed.is_empty(), &reasons, policy.fail_on),
            fails: findings.iter().any(|finding| finding.fails(policy.fail_on)),
            fail_on: policy.fail_on,
            reasons,
            service: diff.service.clone(),
            same_process: diff.same_process,
            window_ns: diff.window_us.saturating_mul(1000),
            before: Moment::of(&diff.before),
            after: Moment::of(&diff.after),
            memory: (diff.before.split.as_ref().zip(diff.after.split.as_ref()))
                .map_or(Vec::new(), |(before, after)| memory::changes(before, after)),
            notes: (notes(diff).into_iter())
                .chain(rules::notes(facts, &policy.rules, &findings))
                .chain(remarks)
                .collect(),
            findings,
            allowed,
            sites: sites::changes(diff),
            heap: diff.heap.as_ref().map(heap::change),
        }
    }

    /// Notes what some pair of a series showed, and no later one does. Growth of which a note tells more is left out.
    pub(crate) fn add_what_is_over(&mut self, over: &[(Finding, jiff::Timestamp)]) {
        for (finding, until) in over {
            let is_told = |note: &Remark| match note {
                Remark::GrowthEnded { function, .. } | Remark::GrewWithTasks { function, .. } => {
                    finding.subject.function() == Some(function)
                }
                _ => false,
            };
            if !self.notes.iter().any(is_told) {
                let (rule, place) = (finding.rule.to_owned(), finding.subject.location());
                self.notes.push(Remark::Over { rule, place, until: *until });
            }
        }
    }

    /// The most memory that the process may have, and in how many microseconds it has it, if that is foreseen.
    pub fn memory_limit(&self) -> Option<(u64, u64)> {
        let met = self.findings.iter().filter_map(|finding| match &finding.risk {
            Risk::MemoryRunsOut { limit, after, .. } => Some((limit.0, after.0)),
            _ => None,
        });
        met.min_by_key(|&(_, after_us)| after_us)
    }

    /// Live tasks that the recorder follows.
    pub fn tasks(&self) -> Change {
        Change { before: self.before.tracked_tasks, after: self.after.tracked_tasks }
    }

    /// The answer in one sentence.
    pub fn headline(&self) -> String {
        let failing = self.findings.iter().filter(|finding| finding.fails(self.fail_on)).count();
        let others = self.findings.len() - failing;
        let mut parts = Vec::new();
        match self.outcome {
            Outcome::Clean => parts.push("clean: nothing leaks that these snapshots could show".to_owned()),
            Outcome::InsufficientData => parts.push("too little to say".to_owned()),
            Outcome::Findings if failing > 0 => parts.push(human::counted(failing as u64, "finding")),
            Outcome::Findings => {}
        }
        if others > 0 {
            parts.push(format!("{} to keep an eye on", human::counted(others as u64, "possibility")));
        }
        if !self.allowed.is_empty() {
            parts.push(format!(
                "{} that the policy allows",
                human::counted(self.allowed.len() as u64, "finding")
            ));
        }
        parts.join(", ")
    }
}

impl Moment {
    fn of(side: &Side) -> Self {
        Moment {
            taken: timestamp(side.taken_unix_us),
            uptime_ns: Micros(side.uptime_us).as_nanos(),
            pid: side.pid,
            tracked_tasks: side.tasks.tracked_tasks,
            untracked_tasks: side.untracked_tasks(),
            coverage_percent: side.coverage().map(|share| share * 100.0),
            memory: side.memory.clone(),
        }
    }
}

fn notes(diff: &Diff) -> Vec<Remark> {
    let mut notes = Vec::new();
    notes.extend(coverage(diff));
    if !diff.same_process {
        notes.push(Remark::TwoProcesses);
    }
    if diff.before.debug_build || diff.after.debug_build {
        notes.push(Remark::DebugBuild);
    }
    notes.extend(diff.after.unnamed.iter().map(|names| Remark::NamesMissing { names: names.clone() }));
    notes.extend(diff.after.not_recorded.iter().map(|what| Remark::NotRecorded { what: what.clone() }));
    notes
}

fn coverage(diff: &Diff) -> Option<Remark> {
    let tasks = diff.after.untracked_tasks()?;
    let coverage = Percent(diff.after.coverage()? * 100.0);
    Some(match tasks {
        0 => Remark::AllTracked { coverage },
        _ => Remark::Untracked { coverage, tasks, before: diff.before.untracked_tasks() },
    })
}
