//! Profiles in pprof's format, gzip'd `profile.proto`: the live heap and what was allocated since start, by
//! the names and in the order of Go's heap profiles, so that its readers know what they see; and what the CPU
//! did.
//!
//! A stack of the heap begins at the service's own function, or at a library's where there is none of these: see
//! [`heap`]. Stacks of the CPU are whole.
//!
//! Labels: `task_site` (`file:line:column` where the task was spawned), and for live blocks `task`, the task that
//! allocated: `live` or `ended`. A pprof file is for other tools: it has neither intervals nor birth numbers, and
//! two of them cannot be diffed as two snapshots can.

mod cpu;
mod heap;
mod proto;
mod writer;

pub use cpu::{CpuFacts, CpuSample, cpu};
pub use heap::{HeapMoment, heap, heap_delta};
