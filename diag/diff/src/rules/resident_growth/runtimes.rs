//! Runtimes of tokio that were built and stay, by what they have on the heap: threads have no place in the code, but who builds a
//! runtime has it allocate.

use std::collections::BTreeMap;

use diag_analysis::source_location::{SourceLocation, plain_path};

use crate::diff::{HeapDiff, HeapSiteDiff};

/// So many new samples are no chance, where none went.
const MIN_SAMPLES: u64 = 5;
/// What builds a runtime.
const BUILDER: &str = "tokio::runtime::builder::Builder::";
/// Ways of tokio's own to it.
const TOKIO: &str = "tokio";

/// Those of one place.
pub(super) struct Runtimes {
    pub(super) built_at: SourceLocation,
    /// New samples of what they have.
    pub(super) samples: u64,
}

/// Those of the place of most samples, if what runtimes of it have only became more.
pub(super) fn that_stay(heap: &HeapDiff) -> Option<Runtimes> {
    let mut places: BTreeMap<&SourceLocation, [u64; 2]> = BTreeMap::new();
    for (site, place) in heap.sites.iter().filter_map(|site| Some((site, built_at(site)?))) {
        let [new, gone] = places.entry(place).or_default();
        *new = new.saturating_add(site.growth.new.samples);
        *gone = gone.saturating_add(site.growth.gone.samples);
    }
    let stay = places.into_iter().filter(|(_, [new, gone])| *new >= MIN_SAMPLES && *gone == 0);
    let (built_at, [samples, _]) = stay.max_by_key(|(_, [new, _])| *new)?;
    Some(Runtimes { built_at: built_at.clone(), samples })
}

/// Who has a runtime built, if what this function allocates is of one.
fn built_at(site: &HeapSiteDiff) -> Option<&SourceLocation> {
    let stack = &site.after.stack;
    let builder = stack.iter().rposition(|place| plain_path(&place.function).starts_with(BUILDER))?;
    stack[builder..].iter().find(|place| !place.is_of_crate(&[TOKIO]))
}
