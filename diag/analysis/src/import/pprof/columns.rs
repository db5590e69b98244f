//! Which values a profile has: writers call them differently, and have more or fewer.

use super::ImportError;
use super::profile::{Profile, ValueType};

/// What a profile is of.
pub(super) enum Columns {
    Heap(HeapColumns),
    Cpu(CpuColumns),
}

/// Which of the values of a heap profile are of interest, by their places.
pub(super) struct HeapColumns {
    pub(super) live_blocks: Option<usize>,
    pub(super) live_bytes: usize,
    pub(super) allocated: Option<[usize; 2]>,
}

/// The same of a CPU profile.
#[derive(Clone, Copy)]
pub(super) struct CpuColumns {
    pub(super) samples: Option<usize>,
    pub(super) time: usize,
    /// Nanoseconds in the unit of the time.
    pub(super) unit_ns: u64,
}

impl Columns {
    pub(super) fn of(profile: &Profile<'_>) -> Result<Self, ImportError> {
        match CpuColumns::of(profile) {
            Some(cpu) => Ok(Columns::Cpu(cpu)),
            None => HeapColumns::of(profile).map(Columns::Heap),
        }
    }
}

impl CpuColumns {
    /// None unless it counts CPU time, in a unit that is known.
    fn of(profile: &Profile<'_>) -> Option<Self> {
        let place = |name: &str| profile.types.iter().position(|kind| profile.text(kind.name) == name);
        let time = place("cpu")?;
        let unit_ns = match profile.text(profile.types[time].unit) {
            "nanoseconds" => 1,
            "microseconds" => 1_000,
            "milliseconds" => 1_000_000,
            "seconds" => 1_000_000_000,
            _ => return None,
        };
        Some(CpuColumns { samples: place("samples"), time, unit_ns })
    }
}

impl HeapColumns {
    fn of(profile: &Profile<'_>) -> Result<Self, ImportError> {
        let find = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| profile.types.iter().position(|kind| profile.text(kind.name) == *name))
        };
        // Without `inuse_` by Node.js and gperftools.
        let Some(live_bytes) = find(&["inuse_space", "space"]) else {
            return Err(ImportError::NothingToImport(format!(
                "it is neither a heap profile nor a CPU profile: it has no inuse_space and no cpu, but {}",
                kinds(profile)
            )));
        };
        let allocated = find(&["alloc_objects"]).zip(find(&["alloc_space"]));
        for place in [Some(live_bytes), allocated.map(|(_, bytes)| bytes)].into_iter().flatten() {
            let unit = profile.text(profile.types[place].unit);
            if unit != "bytes" {
                return Err(ImportError::NothingToImport(format!(
                    "it counts memory in {unit:?}, not in bytes"
                )));
            }
        }
        Ok(HeapColumns {
            live_blocks: find(&["inuse_objects", "objects"]),
            live_bytes,
            allocated: allocated.map(|(blocks, bytes)| [blocks, bytes]),
        })
    }
}

/// What the values are, for people.
fn kinds(profile: &Profile<'_>) -> String {
    let name = |kind: &ValueType| format!("{:?}", profile.text(kind.name));
    let names: Vec<String> = profile.types.iter().map(name).collect();
    if names.is_empty() { "no value at all".to_owned() } else { names.join(", ") }
}
