//! The file `diag.toml`: when a check fails, how much is needed to judge, and the thresholds of all rules.
//!
//! ```toml
//! version = 1
//! fail_on = "likely"      # proven, likely or possible
//! min_window_s = 5.0
//! min_coverage = 0.9      # unset by default
//! memory_budget_bytes = 536870912 # unset by default: when growth meets it
//!
//! [rules.task-leak]
//! min_tasks = 10
//!
//! [rules]
//! outlived-peers = false  # nothing is heard of it
//!
//! [[allow]]               # known, and no failure until that day (UTC)
//! id = "12a340ccdab491cf" # or site = "src/hub.rs:88", or site = "Hub::serve"
//! reason = "the hub's rewrite ends it"
//! until = "2027-01-31"
//!
//! [[bound]]               # growth below is meant, growth above is likely a leak
//! site = "Cache::insert"
//! max_bytes = 268435456   # or max_tasks, of a spawn site
//!
//! [[ratio]]               # so many tasks for each device
//! gauge = "devices"       # published by the service, or "sockets" and so on
//! expected = 2.0
//! site = "src/hub.rs:88"  # all tasks without it
//! ```
//!
//! The keys of a rule are declared in the rule's file; `diag explain` lists them all. Only readers use a policy: a
//! service under test never opens one.

mod allow;
mod bound;
mod error;
mod list;
mod ratio;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diff::Options;
use crate::rules::finding::Confidence;
use crate::rules::params::{Kind, Typed, Value};
use crate::rules::{RULES, Refused, Thresholds, by_name};

pub use crate::rules::expected::Expected;
pub use crate::rules::place::Place;
pub(crate) use allow::take_allowed;
pub use allow::{Allow, Allowed, Known};
pub use bound::Bound;
pub(crate) use bound::apply as apply_bounds;
pub use error::{PolicyError, Problem};

/// What a report may say and when. [`Policy::default`] is what the command line uses.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Findings of this confidence or above fail a check. Default: likely.
    pub fail_on: Confidence,
    /// Two snapshots closer than this, seconds, say too little. Default: 5.
    pub min_window_s: f64,
    /// Least share of live tasks that must be tracked, 0 to 1. Default: none.
    pub min_coverage: Option<f64>,
    /// What the process is meant to have resident at most, bytes: growth is told by when it meets that, or the limit of
    /// the control group if that is nearer. Default: none.
    pub memory_budget_bytes: Option<u64>,
    /// Findings that are known.
    pub allow: Vec<Allow>,
    /// How large something is meant to become.
    pub bounds: Vec<Bound>,
    /// Thresholds rule by rule.
    pub rules: Thresholds,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            fail_on: Confidence::Likely,
            min_window_s: 5.0,
            min_coverage: None,
            memory_budget_bytes: None,
            allow: Vec::new(),
            bounds: Vec::new(),
            rules: Thresholds::default(),
        }
    }
}

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
            policy.take(&entry).map_err(|Refusal { offset, problem }| at(offset, problem))?;
        }
        Ok(policy)
    }

    /// Returns what the diff has to be measured with.
    pub fn diff_options(&self) -> Options {
        Options { memory_budget_bytes: self.memory_budget_bytes, ..self.rules.diff_options() }
    }

    fn take(&mut self, entry: &Entry<'_>) -> Result<(), Refusal> {
        match &*entry.key {
            "allow" => {
                let given = list::entries("allow", entry.value, &allow::KEYS)?;
                self.allow = given.iter().map(Allow::read).collect::<Result<_, _>>()?;
            }
            "bound" => {
                let given = list::entries("bound", entry.value, &bound::KEYS)?;
                self.bounds = given.iter().map(Bound::read).collect::<Result<_, _>>()?;
            }
            "ratio" => {
                let given = list::entries("ratio", entry.value, &ratio::KEYS)?;
                self.rules.expected = given.iter().map(ratio::read).collect::<Result<_, _>>()?;
            }
            key => {
                let taken = self.take_value(key, entry.value.get_ref());
                taken.map_err(|problem| Refusal { offset: entry.offset, problem })?;
            }
        }
        Ok(())
    }

    fn take_value(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), Problem> {
        let must = |must| Problem::Value { key: key.to_owned(), must };
        match (key, value) {
            ("version", value) if value.as_integer().is_some_and(|number| number.as_str() == "1") => {}
            ("version", value) => return Err(Problem::Version(shown(value))),
            ("fail_on", value) => {
                let found = value.as_str().and_then(Confidence::from_word);
                self.fail_on = found.ok_or_else(|| must("proven, likely or possible"))?;
            }
            ("min_window_s", value) => {
                self.min_window_s = number(value, Kind::Seconds).ok_or_else(|| must(Kind::Seconds.must()))?;
            }
            ("min_coverage", value) => {
                let share = number(value, Kind::Share).ok_or_else(|| must(Kind::Share.must()))?;
                self.min_coverage = Some(share);
            }
            ("memory_budget_bytes", value) => {
                let bytes = number(value, Kind::Bytes).ok_or_else(|| must(Kind::Bytes.must()))?;
                self.memory_budget_bytes = Some(bytes);
            }
            (key, value) => self.take_rule(key, value).map_err(|refused| match refused {
                Refused::Unknown => unknown(key),
                Refused::Must(what) => must(what),
            })?,
        }
        Ok(())
    }

    /// Takes a key of a rule's table. A table by itself is fine if there is such a rule.
    fn take_rule(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), Refused> {
        let is_table = value.is_table();
        if is_table && (key == "rules" || RULES.iter().any(|rule| table(rule.name()) == key)) {
            return Ok(());
        }
        let rest = key.strip_prefix("rules.").ok_or(Refused::Unknown)?;
        if let (Some(rule), DeValue::Boolean(on)) = (by_name(rest), value) {
            self.rules.switch(rule, *on);
            return Ok(());
        }
        let (rule, name) = rest.split_once('.').ok_or(Refused::Unknown)?;
        // A value of no kind that thresholds have is refused by all of them.
        let value = threshold(value).unwrap_or(Value::Number(f64::NAN));
        self.rules.set(rule, name, value)
    }
}

/// What is wrong, and where that begins in the text.
struct Refusal {
    offset: usize,
    problem: Problem,
}

/// A key of the file with its value.
struct Entry<'a> {
    /// With the tables that it is in, dots between.
    key: String,
    value: &'a Spanned<DeValue<'a>>,
    /// Where it begins in the text.
    offset: usize,
}

/// All tables and values, the outer ones first.
fn entries<'a>(given: &'a DeTable<'a>, prefix: &str) -> Vec<Entry<'a>> {
    let mut found = Vec::new();
    for (name, value) in given {
        let key = format!("{prefix}{}", name.get_ref());
        let inner = value.get_ref().as_table().map(|inner| entries(inner, &format!("{key}.")));
        found.push(Entry { key, value, offset: Spanned::span(name).start });
        found.extend(inner.into_iter().flatten());
    }
    found
}

fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

fn number<T: Typed>(value: &DeValue<'_>, kind: Kind) -> Option<T> {
    threshold(value).filter(|&value| kind.takes(value)).and_then(T::of)
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
        ["version", "fail_on", "min_window_s", "min_coverage", "allow", "bound", "ratio", "rules"]
            .map(str::to_owned)
            .to_vec();
    known.extend(allow::KEYS.map(|key| format!("allow.{key}")));
    known.extend(bound::KEYS.map(|key| format!("bound.{key}")));
    known.extend(ratio::KEYS.map(|key| format!("ratio.{key}")));
    for rule in RULES {
        let table = table(rule.name());
        known.extend(rule.params().iter().map(|param| format!("{table}.{}", param.name)));
        known.push(table);
    }
    known
}

#[cfg(test)]
mod tests {
    use diag_analysis::gauge::Gauge;
    use diag_snapshot::DescriptorKind;

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

    #[test]
    fn a_rule_is_switched_off_by_its_name() {
        let mut off = Policy::default();
        off.rules.switch(by_name("task-leak").expect("there is one"), false);
        assert_ne!(off, Policy::default());
        assert_eq!(Policy::parse("[rules]\ntask-leak = false"), Ok(off));
        assert_eq!(Policy::parse("[rules]\ntask-leak = true"), Ok(Policy::default()));
        refuse(
            "[rules]\ntask_leak = false",
            "unknown key `rules.task_leak`, did you mean `rules.task-leak`?",
        );
        refuse("[rules]\ntask-leak = 'off'", "unknown key `rules.task-leak`");
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

    #[test]
    fn lists_are_read_entry_by_entry() {
        let text = "[[allow]]\nid = '12a3'\nreason = 'known'\nuntil = '2027-01-31'\n\
                    [[allow]]\nsite = 'src/hub.rs:88'\nreason = 'old'\nuntil = '2026-12-01'\n\
                    [[bound]]\nsite = 'Cache::insert'\nmax_bytes = 1024";
        let policy = Policy::parse(text).expect("valid");
        let about: Vec<&Known> = policy.allow.iter().map(|allow| &allow.what).collect();
        let place = Place::of("src/hub.rs:88").expect("a place");
        assert_eq!(about, [&Known::Id("12a3".to_owned()), &Known::Site(place)]);
        assert_eq!(policy.allow[1].until, jiff::civil::date(2026, 12, 1));
        assert_eq!((policy.bounds[0].max_bytes, policy.bounds[0].max_tasks), (Some(1024), None));
        let text = "[[ratio]]\ngauge = 'devices'\nexpected = 2\n[[ratio]]\ngauge = 'sockets'\nexpected = 0.5\nsite = 'a.rs'";
        let policy = Policy::parse(text).expect("valid");
        let (devices, sockets) =
            (Gauge::Published("devices".to_owned()), Gauge::Descriptors(DescriptorKind::Socket));
        let expected = [
            Expected { site: None, gauge: devices, ratio: 2.0, tolerance: None },
            Expected { site: Place::of("a.rs"), gauge: sockets, ratio: 0.5, tolerance: None },
        ];
        assert_eq!(policy.rules.expected, expected);
    }

    #[test]
    fn errors_of_lists_name_the_line_of_the_entry() {
        let known = "[[allow]]\nid = '12a3'\nreason = 'known'\nuntil = '2027-01-31'\n";
        refuse("allow = 1", "line 1: key `allow` must be a list of tables");
        refuse("[allow]\nid = 'a'", "line 1: key `allow` must be a list of tables");
        refuse("allow = [1]", "key `allow` must be a list of tables");
        refuse(
            &format!("{known}untill = 1"),
            "line 5: unknown key `allow.untill`, did you mean `allow.until`?",
        );
        refuse("[[alow]]", "unknown key `alow`, did you mean `allow`?");
        refuse(&format!("{known}[[allow]]\nid = 'b'"), "line 5: this `[[allow]]` needs a `reason`");
        refuse("[[allow]]\nreason = 'a'", "line 1: this `[[allow]]` needs either `id` or `site`");
        refuse(&format!("{known}site = 'a'"), "line 1: this `[[allow]]` needs either `id` or `site`");
        refuse("[[allow]]\nid = 'b'\nreason = ' '", "needs a `reason`");
        refuse("[[allow]]\nid = 'b'\nreason = 'a'", "needs `until`, a day on which it ends");
        refuse(
            "[[allow]]\nid = 'b'\nreason = 'a'\nuntil = 'soon'",
            "line 4: key `allow.until` must be a day, as in \"2027-01-31\"",
        );
        refuse("[[allow]]\nid = 7", "line 2: key `allow.id` must be a finding's id");
        refuse("[[bound]]\nmax_bytes = 1", "line 1: this `[[bound]]` needs a `site`");
        refuse("[[bound]]\nsite = 'a'", "this `[[bound]]` needs `max_bytes` or `max_tasks`");
        refuse(
            "[[bound]]\nsite = 'a'\nmax_bytes = -1",
            "line 3: key `bound.max_bytes` must be a whole number",
        );
        refuse("[[bound]]\nsite = 'a'\nmax_byte = 1", "did you mean `bound.max_bytes`?");
        refuse("[[ratio]]\nexpected = 1", "line 1: this `[[ratio]]` needs a `gauge`");
        refuse("[[ratio]]\ngauge = 'a'", "line 1: this `[[ratio]]` needs `expected`");
        refuse("[[ratio]]\ngauge = 'a'\nexpected = 0", "line 3: key `ratio.expected` must be more than 0");
        refuse("[[ratio]]\ngauge = ' '\nexpected = 1", "needs a `gauge`");
        refuse("[[ratio]]\ngauge = 'a'\nexpect = 1", "did you mean `ratio.expected`?");
    }
}
