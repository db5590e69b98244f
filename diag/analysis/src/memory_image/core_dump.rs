//! The image that is in a core.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use diag_symbols::{CoreFile, CoreRegion};

use super::{MemoryImage, Region, RegionAccess, RegionKind, pages_of};

/// The file is no core that can be read.
#[derive(Debug)]
pub struct CoreError(PathBuf);

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no ELF core of a process of 64 bits, or cannot be read", self.0.display())
    }
}

impl Error for CoreError {}

/// The kernel puts the heap behind the executable, no farther than so.
const HEAP_WITHIN: u64 = 64 << 20;
/// Stacks of first threads lie above this, and nothing else that is written.
const STACKS_ABOVE: u64 = 0x7ff0_0000_0000;

/// The image of the core at `path`.
///
/// # Errors
/// If there is none. One that is cut short gives what it has, with a note.
pub fn read_core(path: &Path) -> Result<MemoryImage, CoreError> {
    let core = CoreFile::open(path).ok_or_else(|| CoreError(path.to_owned()))?;
    let regions = core.regions();
    let missing: u64 =
        regions.iter().map(|region| region.expected_bytes.saturating_sub(region.bytes.len() as u64)).sum();
    let notes = (missing > 0).then(|| format!("the core is cut short: {missing} bytes are missing"));
    let executable_end = executable_end(&regions);
    let regions = regions.iter().map(|region| image(region, executable_end)).collect();
    Ok(MemoryImage { regions, notes: notes.into_iter().collect() })
}

/// Where the last mapping of the first file ends, which is the executable.
fn executable_end(regions: &[CoreRegion<'_>]) -> Option<u64> {
    let executable = regions.iter().find_map(|region| region.path.as_ref())?;
    let of_it = regions.iter().filter(|region| region.path.as_ref() == Some(executable));
    of_it.map(|region| region.end).max()
}

fn image(region: &CoreRegion<'_>, executable_end: Option<u64>) -> Region {
    let is_near = executable_end
        .is_some_and(|end| region.start >= end && region.start - end <= HEAP_WITHIN && region.write);
    let kind = match &region.path {
        Some(path) => RegionKind::File(path.clone()),
        None if is_near => RegionKind::Heap,
        None if region.start >= STACKS_ABOVE && region.write => RegionKind::Stack,
        None => RegionKind::Anonymous,
    };
    let access = RegionAccess { read: region.read, write: region.write, execute: region.execute };
    Region { start: region.start, end: region.end, kind, access, pages: pages_of(region.bytes) }
}
