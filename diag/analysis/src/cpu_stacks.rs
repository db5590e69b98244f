//! CPU time by call stack.

use diag_snapshot::{Snapshot, StackIndex};

use crate::Analysis;

/// What one call stack has used of the CPUs, estimated from samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuStack {
    /// Who ran.
    pub stack: StackIndex,
    /// Samples.
    pub samples: u64,
    /// The time that these stand for, nanoseconds.
    pub cpu_ns: u64,
}

impl Analysis {
    /// Returns the CPU time by call stack; nothing unless the snapshot was made of a CPU profile.
    pub fn cpu_stacks(&self) -> impl Iterator<Item = CpuStack> {
        let rows = self.snapshot().cpu_samples.iter();
        rows.map(|row| CpuStack { stack: row.stack, samples: row.samples, cpu_ns: row.cpu_ns })
    }

    /// Returns whether any CPU time is known by call stack.
    pub fn has_cpu_stacks(&self) -> bool {
        is_profiled(self.snapshot())
    }
}

/// All CPU time of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuInAll {
    /// Samples.
    pub samples: u64,
    /// The time that these stand for, nanoseconds.
    pub cpu_ns: u64,
}

/// Returns what all call stacks of a snapshot have used together.
pub fn in_all(snapshot: &Snapshot) -> CpuInAll {
    snapshot.cpu_samples.iter().fold(CpuInAll::default(), |all, row| CpuInAll {
        samples: all.samples.saturating_add(row.samples),
        cpu_ns: all.cpu_ns.saturating_add(row.cpu_ns),
    })
}

/// Returns whether a snapshot has any CPU time by call stack.
pub fn is_profiled(snapshot: &Snapshot) -> bool {
    !snapshot.cpu_samples.is_empty()
}
