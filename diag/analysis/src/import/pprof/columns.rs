//! Which values a profile has: writers call them differently, and have more or fewer.

use super::ImportError;
use super::profile::{Profile, ValueType};

/// Which of the values are of interest, by their places.
pub(super) struct Columns {
    pub(super) live_blocks: Option<usize>,
    pub(super) live_bytes: usize,
    pub(super) allocated: Option<[usize; 2]>,
}

impl Columns {
    pub(super) fn of(profile: &Profile<'_>) -> Result<Self, ImportError> {
        let find = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| profile.types.iter().position(|kind| profile.text(kind.name) == *name))
        };
        // Without `inuse_` by Node.js and gperftools.
        let Some(live_bytes) = find(&["inuse_space", "space"]) else {
            return Err(ImportError::NothingToImport(format!(
                "it is no heap profile: it has no inuse_space, but {}",
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
        Ok(Columns {
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
