//! A sweep says who keeps sampled blocks: a map in a static, by way of its table, which is in no table of the recorder's.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use diag_snapshot::{Node, NodeKind, Snapshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

static SESSIONS: LazyLock<Mutex<HashMap<u64, Box<[u64; 500]>>>> = LazyLock::new(Mutex::default);

/// Of the samples of that size how many there are, and how many are found from a node of this kind, by no more than three steps.
fn kept_by(snapshot: &Snapshot, is_keeper: impl Fn(Node) -> bool) -> (usize, usize) {
    let heap = snapshot.heap.as_ref().expect("it is sampled");
    let of_size = heap.samples.iter().filter(|sample| sample.size_bytes == 4_000).map(|sample| sample.birth);
    let is_kept = |birth: &u64| {
        let mut nodes = BTreeSet::from([Node { kind: NodeKind::Sample, id: *birth }]);
        (0..3).any(|_| {
            let back = snapshot.points.iter().filter(|row| row.held && nodes.contains(&row.to()));
            nodes = back.map(|row| row.from()).collect();
            nodes.iter().any(|node| is_keeper(*node))
        })
    };
    let all: Vec<u64> = of_size.collect();
    (all.len(), all.iter().filter(|birth| is_kept(birth)).count())
}

/// Most of those that were looked for, of which each stack has 64 at the most, were found.
fn assert_most((all, kept): (usize, usize)) {
    assert!(all >= 16 && kept >= all.min(64) / 2, "{kept} of {all}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_map_in_a_static_is_found_from_what_it_keeps() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    SESSIONS.lock().expect("whole").extend((0..10_000).map(|i| (i, Box::new([i; 500]))));
    let snapshot = diag::snapshot_with_holders().into_model();
    let sweep = snapshot.capture.sweep.clone().expect("it was asked for");
    assert_eq!(sweep.why, None);
    let map = std::ptr::from_ref(&SESSIONS).addr() as u64;
    let range = map..map + size_of_val(&SESSIONS) as u64;
    let modules = &snapshot.stacks.modules;
    let statics: BTreeSet<u64> = snapshot
        .statics
        .iter()
        .filter(|row| {
            range.contains(&(modules.get(row.module.0 as usize).map_or(0, |module| module.base) + row.offset))
        })
        .map(|row| row.id)
        .collect();
    let of_map = kept_by(&snapshot, |node| node.kind == NodeKind::Static && statics.contains(&node.id));
    assert_most(of_map);

    // Nobody keeps what is gone.
    SESSIONS.lock().expect("whole").clear();
    let snapshot = diag::snapshot_with_holders().into_model();
    let of_map = kept_by(&snapshot, |node| node.kind == NodeKind::Static && statics.contains(&node.id));
    assert_eq!(of_map, (0, 0));
}
