//! What the CPU did: stacks that were met when so much CPU time had gone by.

use super::writer::Writer;
use crate::allocation_sites::Part;
use crate::named_stacks::NamedStacks;
use diag_snapshot::Strings;
use diag_snapshot::{StackIndex, Stacks};

/// A call stack, and how often it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuSample {
    /// Who ran; the innermost frame.
    pub stack: StackIndex,
    /// Where the task that was being polled was spawned; none outside of a tracked task.
    pub task_site: Option<String>,
    /// How often.
    pub samples: u64,
}

/// How a CPU profile was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuFacts {
    /// Its end, microseconds since the Unix epoch.
    pub taken_unix_us: u64,
    /// How long it took.
    pub for_us: u64,
    /// CPU time from one sample to the next, as it was asked for.
    pub period_ns: u64,
    /// CPU time that the process used meanwhile. The samples share it: the system may give fewer of them than
    /// were asked for.
    pub cpu_ns: u64,
}

/// A gzip'd profile of these samples, whose stacks are in `stacks` with their names in `strings`.
pub fn cpu(stacks: &Stacks, strings: &Strings, samples: &[CpuSample], facts: CpuFacts) -> Vec<u8> {
    let stacks = NamedStacks::new(stacks, strings);
    let mut writer = Writer::new(&stacks, &[("samples", "count"), ("cpu", "nanoseconds")]);
    writer.default_type("cpu");
    writer.taken(facts.taken_unix_us, facts.for_us);
    writer.period("cpu", "nanoseconds", facts.period_ns);
    let all: f64 = samples.iter().map(|sample| sample.samples as f64).sum();
    for sample in samples {
        let cpu_ns = (facts.cpu_ns as f64 * sample.samples as f64 / all.max(1.0)).round() as u64;
        let whole = Part { stack: sample.stack, function: 0 };
        writer.sample(whole, &[sample.samples, cpu_ns], &[("task_site", sample.task_site.as_deref())]);
    }
    writer.finish()
}
