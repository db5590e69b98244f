//! CPU time by call stack.

use diag_snapshot::{
    CpuSampleRow, FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, Snapshot, StackIndex, StackRow,
    Stacks, StringIndex,
};

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
    /// Returns the CPU time by call stack; nothing unless the snapshot has a CPU profile.
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

/// Adds the CPU time of one snapshot to another of the same process, with the stacks that had it. Nothing is added, and false
/// returned, if both together have more rows of a kind than an index tells apart.
pub fn add(snapshot: &mut Snapshot, profile: &Snapshot) -> bool {
    let Some(behind) = Behind::of(&snapshot.stacks, &profile.stacks) else { return false };
    let Snapshot { strings, stacks, cpu_samples, .. } = snapshot;
    let mut same = |index: StringIndex| strings.intern(profile.strings.get(index).unwrap_or_default());
    for row in profile.stacks.modules.iter() {
        let (path, build_id) = (same(row.path), row.build_id.map(&mut same));
        stacks.modules.push(ModuleRow { path, build_id, ..row });
    }
    for row in profile.stacks.frames.iter() {
        stacks.frames.push(FrameRow { module: row.module.map(|module| behind.module(module)), ..row });
    }
    for row in profile.stacks.names.iter() {
        let (function, file) = (same(row.function), row.file.map(&mut same));
        stacks.names.push(NameRow { frame: behind.frame(row.frame), function, file, ..row });
    }
    for row in profile.stacks.stacks.iter() {
        let caller = row.caller.map(|caller| behind.stack(caller));
        stacks.stacks.push(StackRow { caller, frame: behind.frame(row.frame) });
    }
    for row in profile.cpu_samples.iter() {
        cpu_samples.push(CpuSampleRow { stack: behind.stack(row.stack), ..row });
    }
    true
}

/// Where rows come to stand that are put behind others. What pointed to no row does so afterwards.
struct Behind {
    modules: u32,
    frames: u32,
    stacks: u32,
}

impl Behind {
    fn of(stacks: &Stacks, more: &Stacks) -> Option<Self> {
        let begin = |len: usize, more: usize| {
            u32::try_from(len.checked_add(more)?).ok()?;
            u32::try_from(len).ok()
        };
        Some(Behind {
            modules: begin(stacks.modules.len(), more.modules.len())?,
            frames: begin(stacks.frames.len(), more.frames.len())?,
            stacks: begin(stacks.stacks.len(), more.stacks.len())?,
        })
    }

    fn module(&self, index: ModuleIndex) -> ModuleIndex {
        ModuleIndex(index.0.saturating_add(self.modules))
    }

    fn frame(&self, index: FrameIndex) -> FrameIndex {
        FrameIndex(index.0.saturating_add(self.frames))
    }

    fn stack(&self, index: StackIndex) -> StackIndex {
        StackIndex(index.0.saturating_add(self.stacks))
    }
}
