//! The thresholds of all rules, and the file `diag.toml` that changes them.
//!
//! ```toml
//! version = 1
//! fail_on = "likely"      # proven, likely or possible
//! min_window_s = 5.0
//! min_coverage = 0.9      # unset by default
//!
//! [rules.task-leak]
//! stale_factor = 3.0
//! min_ended = 20
//! min_tasks = 10
//! significance = 1e-6
//!
//! [rules.heap-growth]
//! min_samples = 10
//! significance = 1e-6
//!
//! [rules.heap-share]
//! max_share_percent = 30.0
//! min_live_bytes = 16777216
//! min_samples = 10
//!
//! [rules.untracked-growth]
//! min_tasks = 10
//! min_growth = 0.1
//!
//! [rules.lost-waker]
//! min_tasks = 1
//! with_handle = false
//!
//! [rules.zombie]
//! min_tasks = 10
//! min_age_s = 60.0
//!
//! [rules.cancelled-but-running]
//! grace_s = 10.0
//!
//! [rules.blocked-executor]
//! min_poll_s = 1.0
//!
//! [rules.busy-self-wake]
//! min_polls_per_s = 10000.0
//! min_self_share = 0.9
//! ```
//!
//! Only readers use it: a service under test never opens a policy file.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::diff::Options;
use crate::verdict::Grade;

/// What a report may say and when. [`Policy::default`] is what the command line uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Version of the file, always 1.
    pub version: u32,
    /// Findings of this grade or above fail a check. Default: likely.
    pub fail_on: Grade,
    /// Two snapshots closer than this, seconds, say too little. Default: 5.
    pub min_window_s: f64,
    /// Least share of live tasks that must be tracked, 0 to 1. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_coverage: Option<f64>,
    /// Thresholds rule by rule.
    pub rules: Rules,
}

/// One table for each rule, named as the rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Rules {
    /// See [`crate::verdict`].
    pub task_leak: TaskLeak,
    /// See [`crate::verdict`].
    pub heap_growth: HeapGrowth,
    /// See [`crate::verdict`].
    pub heap_share: HeapShare,
    /// See [`crate::verdict`].
    pub untracked_growth: UntrackedGrowth,
    /// See [`crate::verdict`].
    pub lost_waker: LostWaker,
    /// See [`crate::verdict`].
    pub zombie: ZombieLimits,
    /// See [`crate::verdict`].
    pub cancelled_but_running: CancelledButRunning,
    /// See [`crate::verdict`].
    pub blocked_executor: BlockedExecutor,
    /// See [`crate::verdict`].
    pub busy_self_wake: BusySelfWake,
}

/// Thresholds of `task-leak`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskLeak {
    /// A task is stale after resting for so many usual lifetimes of its site. Default: 3.
    pub stale_factor: f64,
    /// A site has a usual lifetime once so many of its tasks ended. Default: 20.
    pub min_ended: u64,
    /// So many stale tasks at least. Default: 10.
    pub min_tasks: u64,
    /// Largest chance at which growth is still taken for churn. Default: 1e-6, which is 20 tasks
    /// that came to rest against none that moved on.
    pub significance: f64,
}

/// Thresholds of `heap-growth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapGrowth {
    /// So many new samples at least. Default: 10.
    pub min_samples: u64,
    /// Largest chance at which growth is still taken for churn, over all functions. Default: 1e-6.
    pub significance: f64,
}

/// Thresholds of `heap-share`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeapShare {
    /// More than this share of the live heap, percent. Default: 30.
    pub max_share_percent: f64,
    /// A smaller heap is not judged, bytes. Default: 16 MiB.
    pub min_live_bytes: u64,
    /// Known as well as by so many samples, or better. Default: 10.
    pub min_samples: u64,
}

/// Thresholds of `untracked-growth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UntrackedGrowth {
    /// So many more untracked tasks at least. Default: 10.
    pub min_tasks: u64,
    /// And so large a share of the first count, 0.1 for 10 %. Default: 0.1.
    pub min_growth: f64,
}

/// Thresholds of `lost-waker`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LostWaker {
    /// So many tasks at least. Default: 1.
    pub min_tasks: u64,
    /// True to tell of tasks that a live handle may still end, too. Default: false.
    pub with_handle: bool,
}

/// Thresholds of `zombie`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZombieLimits {
    /// So many ended tasks of one site at least. Default: 10.
    pub min_tasks: u64,
    /// Each held for so long after its end, seconds. Default: 60.
    pub min_age_s: f64,
}

/// Thresholds of `cancelled-but-running`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CancelledButRunning {
    /// A task may take so long to stop, seconds. Default: 10.
    pub grace_s: f64,
}

/// Thresholds of `blocked-executor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockedExecutor {
    /// A poll may take so long, seconds. Default: 1.
    pub min_poll_s: f64,
}

/// Thresholds of `busy-self-wake`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BusySelfWake {
    /// So many polls a second at least. Default: 10,000.
    pub min_polls_per_s: f64,
    /// So large a share of them asked for by the task itself, 0 to 1. Default: 0.9.
    pub min_self_share: f64,
}

impl Default for Policy {
    fn default() -> Self {
        let rules = Rules::default();
        Policy { version: 1, fail_on: Grade::Likely, min_window_s: 5.0, min_coverage: None, rules }
    }
}

impl Default for TaskLeak {
    fn default() -> Self {
        let Options { stale_factor, min_ended } = Options::default();
        TaskLeak { stale_factor, min_ended, min_tasks: 10, significance: 1e-6 }
    }
}

impl Default for HeapGrowth {
    fn default() -> Self {
        HeapGrowth { min_samples: 10, significance: 1e-6 }
    }
}

impl Default for HeapShare {
    fn default() -> Self {
        HeapShare { max_share_percent: 30.0, min_live_bytes: 16 << 20, min_samples: 10 }
    }
}

impl Default for UntrackedGrowth {
    fn default() -> Self {
        UntrackedGrowth { min_tasks: 10, min_growth: 0.1 }
    }
}

impl Default for LostWaker {
    fn default() -> Self {
        LostWaker { min_tasks: 1, with_handle: false }
    }
}

impl Default for ZombieLimits {
    fn default() -> Self {
        ZombieLimits { min_tasks: 10, min_age_s: 60.0 }
    }
}

impl Default for CancelledButRunning {
    fn default() -> Self {
        CancelledButRunning { grace_s: 10.0 }
    }
}

impl Default for BlockedExecutor {
    fn default() -> Self {
        BlockedExecutor { min_poll_s: 1.0 }
    }
}

impl Default for BusySelfWake {
    fn default() -> Self {
        BusySelfWake { min_polls_per_s: 10_000.0, min_self_share: 0.9 }
    }
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyError {
    /// Not TOML, or a value of the wrong type; the text says where.
    Syntax(String),
    /// The file is of another version.
    Version(u32),
    /// No such key.
    UnknownKey {
        /// The key with the tables that it is in.
        key: String,
        /// The most similar key that there is.
        nearest: String,
    },
    /// A number outside of its range.
    Range {
        /// The key with the tables that it is in.
        key: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyError::Syntax(text) => f.write_str(text.trim_end()),
            PolicyError::Version(found) => {
                write!(f, "key `version` is {found}, but this program knows version 1 only")
            }
            PolicyError::UnknownKey { key, nearest } => {
                write!(f, "unknown key `{}`, did you mean `{nearest}`?", key.escape_debug())
            }
            PolicyError::Range { key, must } => write!(f, "key `{key}` must be {must}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// The policy in the text of a `diag.toml`; what it does not name keeps its default.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let given: Table = text.parse().map_err(syntax)?;
        refuse_unknown_keys(&given)?;
        let policy: Policy = toml::from_str(text).map_err(syntax)?;
        policy.refuse_senseless()?;
        Ok(policy)
    }

    /// The numbers that the diff needs to know.
    pub fn diff_options(&self) -> Options {
        let TaskLeak { stale_factor, min_ended, .. } = self.rules.task_leak;
        Options { stale_factor, min_ended }
    }

    fn refuse_senseless(&self) -> Result<(), PolicyError> {
        let rules = &self.rules;
        let leak = &rules.task_leak;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let checks = [
            ("min_window_s", self.min_window_s >= 0.0, "0 or more"),
            ("min_coverage", self.min_coverage.is_none_or(share), "a share from 0 to 1"),
            ("rules.task-leak.stale_factor", leak.stale_factor >= 1.0, "1 or more"),
            ("rules.task-leak.significance", share(leak.significance), "a probability from 0 to 1"),
            (
                "rules.heap-growth.significance",
                share(rules.heap_growth.significance),
                "a probability from 0 to 1",
            ),
            (
                "rules.heap-share.max_share_percent",
                (0.0..=100.0).contains(&rules.heap_share.max_share_percent),
                "a percentage from 0 to 100",
            ),
            ("rules.untracked-growth.min_growth", rules.untracked_growth.min_growth >= 0.0, "0 or more"),
            ("rules.zombie.min_age_s", rules.zombie.min_age_s >= 0.0, "0 or more"),
            ("rules.cancelled-but-running.grace_s", rules.cancelled_but_running.grace_s >= 0.0, "0 or more"),
            ("rules.blocked-executor.min_poll_s", rules.blocked_executor.min_poll_s >= 0.0, "0 or more"),
            (
                "rules.busy-self-wake.min_polls_per_s",
                rules.busy_self_wake.min_polls_per_s >= 0.0,
                "0 or more",
            ),
            (
                "rules.busy-self-wake.min_self_share",
                share(rules.busy_self_wake.min_self_share),
                "a share from 0 to 1",
            ),
        ];
        if self.version != 1 {
            return Err(PolicyError::Version(self.version));
        }
        match checks.into_iter().find(|&(_, holds, _)| !holds) {
            Some((key, _, must)) => Err(PolicyError::Range { key, must }),
            None => Ok(()),
        }
    }
}

fn syntax(error: toml::de::Error) -> PolicyError {
    PolicyError::Syntax(error.to_string())
}

/// Serde would refuse an unknown key too, but without saying which one was meant.
fn refuse_unknown_keys(given: &Table) -> Result<(), PolicyError> {
    let everything = Policy { min_coverage: Some(0.0), ..Policy::default() };
    let known = keys(&Table::try_from(everything).unwrap_or_default(), "");
    for key in keys(given, "") {
        if !known.contains(&key) {
            let nearest = nearest(&key, &known);
            return Err(PolicyError::UnknownKey { key, nearest });
        }
    }
    Ok(())
}

/// Dotted names of all tables and values.
fn keys(table: &Table, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if let Value::Table(inner) = value {
            found.extend(keys(inner, &format!("{key}.")));
        }
        found.push(key);
    }
    found
}

fn nearest(key: &str, known: &[String]) -> String {
    let closest = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(key, candidate));
    closest.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(text: &str, expected: &str) {
        let error = Policy::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Policy::parse(""), Ok(Policy::default()));
        assert_eq!(Policy::parse("version = 1"), Ok(Policy::default()));
    }

    #[test]
    fn values_replace_defaults_one_by_one() {
        let text = "fail_on = 'possible'\nmin_coverage = 0.5\n[rules.task-leak]\nmin_tasks = 3";
        let policy = Policy::parse(text).expect("valid");
        assert_eq!(policy.fail_on, Grade::Possible);
        assert_eq!(policy.min_coverage, Some(0.5));
        assert_eq!(policy.rules.task_leak, TaskLeak { min_tasks: 3, ..TaskLeak::default() });
    }

    #[test]
    fn errors_name_the_key() {
        refuse("fail_onn = 'likely'", "unknown key `fail_onn`, did you mean `fail_on`?");
        refuse("[rules.task_leak]", "unknown key `rules.task_leak`, did you mean `rules.task-leak`?");
        refuse("[rules.task-leak]\nmin_task = 1", "did you mean `rules.task-leak.min_tasks`?");
        refuse("version = 2", "key `version` is 2");
        refuse("fail_on = 'sometimes'", "fail_on");
        refuse("min_coverage = 91", "key `min_coverage` must be a share from 0 to 1");
        refuse(
            "[rules.task-leak]\nstale_factor = nan",
            "key `rules.task-leak.stale_factor` must be 1 or more",
        );
        refuse("rules.busy-self-wake.min_self_share = 2", "must be a share from 0 to 1");
        refuse("rules.zombie.min_age = 2", "did you mean `rules.zombie.min_age_s`?");
        refuse("rules.heap-share.max_share_percent = 101", "must be a percentage from 0 to 100");
        refuse("min_window_s = ", "line 1");
    }
}
