//! The file `diag.toml`: when a check fails, how much is needed to judge, and the thresholds of all rules.
//!
//! ```toml
//! version = 1
//! fail_on = "likely"      # proven, likely or possible
//! min_window_s = 5.0
//! min_coverage = 0.9      # unset by default
//!
//! [rules.task-leak]
//! min_tasks = 10
//! ```
//!
//! The keys of a rule are declared in the rule's file; `diag explain` lists them all. Only readers use a policy: a
//! service under test never opens one.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diff::Options;
use crate::rules::finding::Confidence;
use crate::rules::params::{Kind, Typed as _, Value};
use crate::rules::{RULES, Refused, Thresholds};

/// What a report may say and when. [`Policy::default`] is what the command line uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Findings of this confidence or above fail a check. Default: likely.
    pub fail_on: Confidence,
    /// Two snapshots closer than this, seconds, say too little. Default: 5.
    pub min_window_s: f64,
    /// Least share of live tasks that must be tracked, 0 to 1. Default: none.
    pub min_coverage: Option<f64>,
    /// Thresholds rule by rule.
    pub rules: Thresholds,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            fail_on: Confidence::Likely,
            min_window_s: 5.0,
            min_coverage: None,
            rules: Thresholds::default(),
        }
    }
}

/// Why a policy is refused, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyError {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// It is not TOML.
    Syntax(String),
    /// The file is of another version.
    Version(String),
    /// No such key.
    UnknownKey {
        /// The key with the tables that it is in.
        key: String,
        /// The most similar key that there is.
        nearest: String,
    },
    /// A value of the wrong type or outside of its range.
    Value {
        /// The key with the tables that it is in.
        key: String,
        /// What it must be.
        must: &'static str,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::Syntax(text) => f.write_str(text),
            Problem::Version(found) => {
                write!(f, "key `version` is {}, but this program knows version 1 only", found.escape_debug())
            }
            Problem::UnknownKey { key, nearest } => {
                write!(f, "unknown key `{}`, did you mean `{nearest}`?", key.escape_debug())
            }
            Problem::Value { key, must } => write!(f, "key `{key}` must be {must}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Returns the policy in the text of a `diag.toml`; what it does not name keeps its default.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let at = |offset: usize, problem| PolicyError { line: line(text, offset), problem };
        let given = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, Problem::Syntax(error.message().to_owned()))
        })?;
        let mut policy = Policy::default();
        let mut entries = entries(given.get_ref(), "");
        entries.sort_by_key(|entry| entry.offset);
        for entry in entries {
            policy.take(&entry).map_err(|problem| at(entry.offset, problem))?;
        }
        Ok(policy)
    }

    /// Returns what the diff has to be measured with.
    pub fn diff_options(&self) -> Options {
        self.rules.diff_options()
    }

    fn take(&mut self, entry: &Entry<'_>) -> Result<(), Problem> {
        let must = |must| Problem::Value { key: entry.key.clone(), must };
        match (&*entry.key, entry.value) {
            ("version", value) if value.as_integer().is_some_and(|number| number.as_str() == "1") => Ok(()),
            ("version", value) => Err(Problem::Version(shown(value))),
            ("fail_on", value) => {
                let found = value.as_str().and_then(Confidence::from_word);
                self.fail_on = found.ok_or_else(|| must("proven, likely or possible"))?;
                Ok(())
            }
            ("min_window_s", value) => {
                self.min_window_s = number(value, Kind::Seconds).ok_or_else(|| must(Kind::Seconds.must()))?;
                Ok(())
            }
            ("min_coverage", value) => {
                let share = number(value, Kind::Share).ok_or_else(|| must(Kind::Share.must()))?;
                self.min_coverage = Some(share);
                Ok(())
            }
            (key, value) => self.take_rule(key, value).map_err(|refused| match refused {
                Refused::Unknown => unknown(key),
                Refused::Must(what) => must(what),
            }),
        }
    }

    /// Takes a key of a rule's table. A table by itself is fine if there is such a rule.
    fn take_rule(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), Refused> {
        let is_table = value.is_table();
        if is_table && (key == "rules" || RULES.iter().any(|rule| table(rule.name()) == key)) {
            return Ok(());
        }
        let rest = key.strip_prefix("rules.").ok_or(Refused::Unknown)?;
        let (rule, name) = rest.split_once('.').ok_or(Refused::Unknown)?;
        // A value of no kind that thresholds have is refused by all of them.
        let value = threshold(value).unwrap_or(Value::Number(f64::NAN));
        self.rules.set(rule, name, value)
    }
}

/// A key of the file with its value.
struct Entry<'a> {
    /// With the tables that it is in, dots between.
    key: String,
    value: &'a DeValue<'a>,
    /// Where it begins in the text.
    offset: usize,
}

/// All tables and values, the outer ones first.
fn entries<'a>(given: &'a DeTable<'a>, prefix: &str) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    for (name, value) in given {
        let key = format!("{prefix}{}", name.get_ref());
        let inner = value.get_ref().as_table().map(|inner| entries(inner, &format!("{key}.")));
        found.push(Entry { key, value: value.get_ref(), offset: Spanned::span(name).start });
        found.extend(inner.into_iter().flatten());
    }
    found
}

fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn number(value: &DeValue<'_>, kind: Kind) -> Option<f64> {
    threshold(value).filter(|&value| kind.takes(value)).and_then(f64::of)
}

fn threshold(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Whole)
        }
        DeValue::Float(number) => number.as_str().parse().ok().map(Value::Number),
        DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
        _ => None,
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::String(text) => text.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

fn table(rule: &str) -> String {
    format!("rules.{rule}")
}

fn unknown(key: &str) -> Problem {
    let known = known_keys();
    let closest = known.iter().min_by_key(|known| strsim::damerau_levenshtein(key, known));
    Problem::UnknownKey { key: key.to_owned(), nearest: closest.cloned().unwrap_or_default() }
}

/// Every key that there is, with the tables that it is in.
fn known_keys() -> Vec<String> {
    let mut known =
        ["version", "fail_on", "min_window_s", "min_coverage", "rules"].map(str::to_owned).to_vec();
    for rule in RULES {
        let table = table(rule.name());
        known.extend(rule.params().iter().map(|param| format!("{table}.{}", param.name)));
        known.push(table);
    }
    known
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
        assert_eq!(Policy::parse("[rules.task-leak]"), Ok(Policy::default()));
    }

    #[test]
    fn values_replace_defaults_one_by_one() {
        let text = "fail_on = 'possible'\nmin_coverage = 0.5\n[rules.task-leak]\nmin_tasks = 3";
        let mut expected =
            Policy { fail_on: Confidence::Possible, min_coverage: Some(0.5), ..Policy::default() };
        expected.rules.set("task-leak", "min_tasks", Value::Whole(3)).expect("there is one");
        assert_eq!(Policy::parse(text), Ok(expected));
        let options = Policy::parse("rules.task-leak.stale_factor = 7").expect("valid").diff_options();
        assert_eq!(options, Options { stale_factor: 7.0, ..Options::default() });
    }

    /// What a file can name is what there is, default values included.
    #[test]
    fn every_default_can_be_written_down() {
        for rule in RULES {
            for param in rule.params() {
                let text = format!("[rules.{}]\n{} = {}", rule.name(), param.name, param.default);
                assert!(Policy::parse(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        refuse("fail_onn = 'likely'", "line 1: unknown key `fail_onn`, did you mean `fail_on`?");
        refuse("[rules.task_leak]", "unknown key `rules.task_leak`, did you mean `rules.task-leak`?");
        refuse(
            "\n[rules.task-leak]\nmin_task = 1",
            "line 3: unknown key `rules.task-leak.min_task`, did you",
        );
        refuse("[rules.task-leak]\nmin_task = 1", "did you mean `rules.task-leak.min_tasks`?");
        refuse("rules.task-leak = 1", "unknown key `rules.task-leak`");
        refuse("version = 2", "key `version` is 2");
        refuse("version = \"a\\u001b\"", "key `version` is a\\u{1b}, but");
        refuse("fail_on = 'sometimes'", "key `fail_on` must be proven, likely or possible");
        refuse("min_coverage = 91", "key `min_coverage` must be a share from 0 to 1");
        refuse(
            "[rules.task-leak]\nstale_factor = nan",
            "line 2: key `rules.task-leak.stale_factor` must be 1 or more",
        );
        refuse("rules.task-leak.min_tasks = -1", "must be a whole number, 0 or more");
        refuse("rules.task-leak.min_tasks = 1.5", "must be a whole number, 0 or more");
        refuse("rules.lost-waker.with_handle = 'yes'", "must be true or false");
        refuse("rules.zombie.min_age_s = '1'", "must be 0 or more");
        refuse("rules.busy-self-wake.min_self_share = 2", "must be a share from 0 to 1");
        refuse("rules.zombie.min_age = 2", "did you mean `rules.zombie.min_age_s`?");
        refuse("rules.heap-share.max_share_percent = 101", "must be a percentage from 0 to 100");
        refuse("rules.zombie.min_age_s.x = 1", "must be 0 or more");
        refuse("a = 1\nmin_window_s = ", "line 2");
    }
}
