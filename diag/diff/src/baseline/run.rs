//! What one run of a suite left, and its features.

use std::collections::BTreeMap;
use std::fmt;

use diag_analysis::Analysis;
use diag_analysis::runtime_frames::is_runtime;
use diag_analysis::source_location::SourceLocation;

use super::features::{Dimension, Feature, Measure};
use super::{Vector, junit, libtest};

/// The end of a test.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TestResult {
    /// Its name, with that of its binary if that is known.
    pub name: String,
    /// How long it took; none if that is not told.
    pub time_s: Option<f64>,
    /// Times that it failed: of a test that was tried again, more than one.
    pub failures: u32,
}

/// Why a file has no test events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEventsError;

impl fmt::Display for TestEventsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are no test events in it: neither JUnit as nextest writes it nor JSON lines of `cargo test -- --format json`")
    }
}

impl std::error::Error for TestEventsError {}

/// The tests of a file of events: JUnit, or JSON lines of libtest.
///
/// # Errors
/// If it has none.
pub fn test_events(text: &str) -> Result<Vec<TestResult>, TestEventsError> {
    let results =
        if text.trim_start().starts_with('<') { junit::results(text) } else { libtest::results(text) };
    if results.is_empty() { Err(TestEventsError) } else { Ok(results) }
}

/// What one run left.
#[derive(Default)]
pub struct Run {
    tests: Vec<TestResult>,
    /// The last snapshot of each process.
    last: BTreeMap<u64, Analysis>,
    cpu_ns: BTreeMap<String, u64>,
}

impl Run {
    /// Adds the ends of tests.
    pub fn add_tests(&mut self, tests: Vec<TestResult>) {
        self.tests.extend(tests);
    }

    /// Adds a snapshot, of which the last of each process counts; of a CPU profile all do.
    pub fn add_snapshot(&mut self, analysis: Analysis) {
        if analysis.has_cpu_stacks() {
            self.add_cpu(&analysis);
            return;
        }
        let (instance, taken) = (analysis.snapshot().process.instance, analysis.snapshot().taken_unix_us());
        let is_later = self.last.get(&instance).is_none_or(|last| last.snapshot().taken_unix_us() <= taken);
        if is_later {
            self.last.insert(instance, analysis);
        }
    }

    /// True if it left nothing.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.last.is_empty() && self.cpu_ns.is_empty()
    }

    fn add_cpu(&mut self, analysis: &Analysis) {
        for stack in analysis.cpu_stacks() {
            let named = &analysis.stacks().named;
            // The innermost function of the service, or whatever is innermost.
            let own = named.stack(stack.stack).find(|place| !is_runtime(place));
            let place = own.or_else(|| named.stack(stack.stack).next());
            let name = place.map_or("(unknown)", |place| &place.function);
            let sum = self.cpu_ns.entry(name.to_owned()).or_default();
            *sum = sum.saturating_add(stack.cpu_ns);
        }
    }

    /// Its features.
    pub fn vector(&self) -> Vector {
        let mut vector = Vector::new();
        let mut add = |dimension, of: &str, measure, value: f64| {
            *vector.entry(Feature::new(dimension, of, measure)).or_insert(0.0) += value;
        };
        for test in &self.tests {
            let of = format!("test {}", test.name);
            if let Some(time_s) = test.time_s {
                add(Dimension::ExecutionStability, &of, Measure::TimeS, time_s);
                add(Dimension::ExecutionStability, "all tests", Measure::TimeS, time_s);
            }
            add(Dimension::ExecutionStability, &of, Measure::Failures, test.failures.into());
        }
        for analysis in self.last.values() {
            add_heap(analysis, &mut add);
        }
        for (function, &cpu_ns) in &self.cpu_ns {
            add(Dimension::ResourceSensitivity, function, Measure::CpuS, cpu_ns as f64 / 1e9);
        }
        self.add_tasks(&mut vector);
        vector
    }

    fn add_tasks(&self, vector: &mut Vector) {
        let mut lives: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for analysis in self.last.values() {
            let snapshot = analysis.snapshot();
            for site in analysis.site_views() {
                let of = format!("tasks at {} {}", file_of(&site.location), site.name);
                let mut add = |measure, value: u64| {
                    let feature = Feature::new(Dimension::TaskHealth, &*of, measure);
                    *vector.entry(feature).or_insert(0.0) += value as f64;
                };
                add(Measure::Alive, site.live);
                add(Measure::Panicked, site.panicked);
                let of_site = snapshot.lifetimes.iter().filter(|row| row.site.0 == site.index);
                let life = lives.entry(of).or_default();
                for row in of_site {
                    // Bucket b is from 2^b to 2^(b+1).
                    let middle_ms = 1.5 * f64::from(row.bucket.min(63)).exp2();
                    life.0 += middle_ms * row.count as f64;
                    life.1 += row.count as f64;
                }
            }
        }
        let ended = lives.into_iter().filter(|(_, (_, count))| *count > 0.0);
        vector.extend(ended.map(|(of, (sum_ms, count))| {
            (Feature::new(Dimension::TaskHealth, of, Measure::LifetimeMs), sum_ms / count)
        }));
    }
}

fn add_heap(analysis: &Analysis, add: &mut impl FnMut(Dimension, &str, Measure, f64)) {
    let Some(heap) = analysis.heap() else { return };
    add(Dimension::ResourceSensitivity, "heap", Measure::LiveBytes, heap.live.bytes.sum);
    for function in &heap.functions {
        let of = name_of(&function.place);
        let allocated = function.since_start;
        add(Dimension::ResourceSensitivity, &of, Measure::AllocatedBytes, allocated.allocated_bytes as f64);
        add(Dimension::ResourceSensitivity, &of, Measure::AllocatedBlocks, allocated.allocated_blocks as f64);
    }
}

fn name_of(place: &SourceLocation) -> String {
    place.function.to_string()
}

/// `src/desk.rs` of `src/desk.rs:88:9`.
fn file_of(location: &str) -> &str {
    let is_position = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut file = location;
    while let Some((before, position)) = file.rsplit_once(':')
        && is_position(position)
    {
        file = before;
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_move_and_files_stay() {
        for (location, file) in [
            ("src/a.rs:88:9", "src/a.rs"),
            ("src/a.rs:8", "src/a.rs"),
            ("(untracked)", "(untracked)"),
            ("C:/a.rs:1", "C:/a.rs"),
        ] {
            assert_eq!(file_of(location), file);
        }
    }
}
