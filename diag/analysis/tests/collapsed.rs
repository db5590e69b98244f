//! Collapsed stacks, read back as FlameGraph reads them.

use std::collections::BTreeSet;
use std::path::Path;

use diag_analysis::export;
use diag_snapshot::{NameRow, Snapshot, file};
use diag_test_support::iothub;

/// The stacks with their bytes: what stands behind the last space of a line is the number.
fn read(text: &str) -> Vec<(Vec<&str>, u64)> {
    let lines = text.lines().map(|line| line.rsplit_once(' ').expect("a space before the number"));
    lines.map(|(stack, bytes)| (stack.split(';').collect(), bytes.parse().expect("a number"))).collect()
}

fn collapsed(snapshot: &Snapshot) -> String {
    let mut text = Vec::new();
    export::by_name("collapsed")
        .expect("it is there")
        .export(&snapshot.clone().into(), &mut text)
        .expect("memory takes it");
    String::from_utf8(text).expect("text")
}

#[test]
fn the_sum_is_the_live_heap() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots/v1.4.diag");
    for snapshot in [file::read(&golden).expect("readable").0, iothub::service(2_000, 1_000)] {
        let text = collapsed(&snapshot);
        let stacks = read(&text);
        let truth = snapshot.heap.as_ref().expect("a heap").live_bytes();
        let sum: u64 = stacks.iter().map(|(_, bytes)| bytes).sum();
        assert!(!stacks.is_empty() && truth > 0.0);
        // Each line is rounded by itself.
        assert!((sum as f64 - truth).abs() <= 0.5 * stacks.len() as f64, "{sum} is not {truth}");
        let mut lines: Vec<_> = stacks.iter().map(|(stack, _)| stack).collect();
        lines.dedup();
        assert_eq!(lines.len(), stacks.len(), "each stack once");
    }
}

#[test]
fn no_name_can_make_a_frame_or_a_line() {
    let named = iothub::service(20, 20);
    let stacks = read(&collapsed(&named)).len();
    for (hostile, expected) in [
        ("a;b", "a,b"),
        ("a\nmain 7", "a\\nmain 7"),
        ("a\u{2028}b", "a\\u{2028}b"),
        ("a\r\t\u{1b}[31m", "a\\r\\t\\u{1b}[31m"),
        ("", "(no name)"),
        ("  ", "(no name)"),
        ("<A as B<C>>::d {closure#0}", "<A as B<C>>::d {closure#0}"),
    ] {
        let mut snapshot = named.clone();
        let function = snapshot.strings.intern(hostile);
        snapshot.stacks.names = named.stacks.names.iter().map(|row| NameRow { function, ..row }).collect();
        let text = collapsed(&snapshot);
        let frames: BTreeSet<&str> = read(&text).into_iter().flat_map(|(stack, _)| stack).collect();
        assert!(frames.contains(expected), "{hostile:?}: {text}");
        assert!(
            frames.iter().all(|frame| *frame == expected || frame.contains("+0x")),
            "{hostile:?}: {text}"
        );
        assert!(text.lines().count() <= stacks, "{hostile:?}: {text}");
    }
}

#[test]
fn without_a_heap_there_is_no_line() {
    assert_eq!(collapsed(&Snapshot::default()), "");
}
