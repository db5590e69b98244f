//! Live bytes by allocating function: the heaviest of them, for a table.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use diag_diff::diff::AllocationSites;
use diag_diff::stats::WeightedSum;
use diag_snapshot::names::Place;
use diag_snapshot::{Heap, Snapshot, StackIndex};

/// So many are kept.
const MOST: usize = 50;

/// The heaviest allocating functions of a heap.
pub(crate) struct Functions {
    /// All live bytes.
    pub(crate) live: WeightedSum,
    /// The heaviest first.
    pub(crate) heaviest: Vec<Function>,
    /// Functions besides these.
    pub(crate) unlisted: usize,
}

/// One allocating function.
pub(crate) struct Function {
    pub(crate) place: Place,
    pub(crate) live: WeightedSum,
    /// The stack of most of its bytes, innermost first.
    pub(crate) stack: Vec<Place>,
}

#[derive(Default)]
struct Tally {
    live: WeightedSum,
    heaviest: Option<(f64, StackIndex)>,
}

impl Functions {
    /// None if the snapshot has no heap.
    pub(crate) fn new(snapshot: &Snapshot) -> Option<Self> {
        let heap = snapshot.heap.as_ref()?;
        let stacks = AllocationSites::new(snapshot);
        let mut live = WeightedSum::default();
        let mut tallies: BTreeMap<Place, Tally> = BTreeMap::new();
        for (stack, sum) in by_stack(heap) {
            live += sum;
            let tally = tallies.entry(stacks.site(stack)).or_default();
            tally.live += sum;
            if tally.heaviest.is_none_or(|(bytes, _)| bytes < sum.sum) {
                tally.heaviest = Some((sum.sum, stack));
            }
        }
        let mut tallies: Vec<(Place, Tally)> = tallies.into_iter().collect();
        // Stable: equal ones stay in the order of the names.
        tallies.sort_by(|a, b| b.1.live.sum.total_cmp(&a.1.live.sum));
        let unlisted = tallies.len().saturating_sub(MOST);
        tallies.truncate(MOST);
        let function = |(place, tally): (Place, Tally)| Function {
            place,
            live: tally.live,
            stack: tally.heaviest.iter().flat_map(|(_, stack)| stacks.named.stack(*stack)).cloned().collect(),
        };
        Some(Functions { live, heaviest: tallies.into_iter().map(function).collect(), unlisted })
    }
}

/// Ordered, so that sums and ties come out the same every time.
fn by_stack(heap: &Heap) -> Vec<(StackIndex, WeightedSum)> {
    let mut sums: HashMap<StackIndex, WeightedSum> = HashMap::new();
    for sample in heap.samples.iter() {
        sums.entry(sample.stack).or_default().add(sample.size_bytes as f64, sample.probability());
    }
    let mut sums: Vec<(StackIndex, WeightedSum)> = sums.into_iter().collect();
    sums.sort_by_key(|&(stack, _)| Reverse(stack));
    sums
}
