//! The text of an exposition in the making: families, then their samples.

use std::collections::HashMap;
use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

/// How the figures are written. Their names and values are the same in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4: a family of counters is called as its samples are, units are not told, and
    /// nothing marks the end.
    Prometheus,
}

impl Syntax {
    /// The media type of the text.
    pub const fn content_type(self) -> &'static str {
        match self {
            Syntax::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Syntax::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What the counters of a process said last. Tasks end while they are counted, so that a sum may come out lower
/// than the last time by some; a reader would take that for a restart, and the whole of it for new.
#[derive(Debug, Default)]
pub struct Told {
    /// By hash of name and labels.
    counters: HashMap<u64, f64>,
}

/// The text in the making.
pub(super) struct Text<'a> {
    text: String,
    syntax: Syntax,
    told: &'a mut Told,
}

impl<'a> Text<'a> {
    /// Nothing yet.
    pub(super) fn new(syntax: Syntax, told: &'a mut Told) -> Self {
        Text { text: String::new(), syntax, told }
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        match self.syntax {
            Syntax::OpenMetrics => self.text + "# EOF\n",
            Syntax::Prometheus => self.text,
        }
    }

    /// A family of gauges begins; no unit is an empty one.
    pub(super) fn gauge(&mut self, name: &str, unit: &str, help: &str) {
        self.family(name, "gauge", unit, help);
    }

    /// A family of counters begins.
    pub(super) fn counter(&mut self, name: &str, unit: &str, help: &str) {
        match self.syntax {
            Syntax::OpenMetrics => self.family(name, "counter", unit, help),
            Syntax::Prometheus => self.family(&format!("{name}_total"), "counter", unit, help),
        }
    }

    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        self.text += &format!("# TYPE {name} {kind}\n");
        if !unit.is_empty() && self.syntax == Syntax::OpenMetrics {
            self.text += &format!("# UNIT {name} {unit}\n");
        }
        self.text += &format!("# HELP {name} {help}\n");
    }

    /// A value of a gauge.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let from = self.text.len();
        self.series(name, labels);
        self.value(from, value);
    }

    /// A value of a counter: never less than the last time.
    pub(super) fn total(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let from = self.text.len();
        self.series(&format!("{name}_total"), labels);
        let told = self.told.counters.entry(xxh3_64(&self.text.as_bytes()[from..])).or_default();
        *told = told.max(value);
        let value = *told;
        self.value(from, value);
    }

    fn series(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.text += name;
        for (i, (label, value)) in labels.iter().enumerate() {
            self.text += if i == 0 { "{" } else { "," };
            self.text += label;
            self.text += "=\"";
            self.text.extend(value.chars().flat_map(escaped));
            self.text.push('"');
        }
        self.text += if labels.is_empty() { " " } else { "} " };
    }

    fn value(&mut self, from: usize, value: f64) {
        // Only of a snapshot that lies; a line without a number would spoil the whole text.
        if !value.is_finite() {
            self.text.truncate(from);
            return;
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{value}");
    }
}

/// A character of a label's value.
fn escaped(char: char) -> impl Iterator<Item = char> {
    let (first, second) = match char {
        '\n' => ('\\', Some('n')),
        '"' | '\\' => ('\\', Some(char)),
        _ => (char, None),
    };
    std::iter::once(first).chain(second)
}
