//! Profiles for speedscope, read back: valid whatever the snapshot says, and with its sums.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use diag_analysis::export;
use diag_snapshot::{NameRow, SampleRow, Snapshot, StackIndex, file};
use diag_test_support::iothub;
use serde_json::Value;

fn exported(snapshot: &Snapshot, format: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    export::by_name(format)
        .expect("it is there")
        .export(&snapshot.clone().into(), &mut bytes)
        .expect("memory takes it");
    bytes
}

/// The stacks, outermost function first, with their bytes; whatever the format's schema forbids panics.
fn read(snapshot: &Snapshot) -> Vec<(Vec<String>, u64)> {
    let file: Value = serde_json::from_slice(&exported(snapshot, "speedscope")).expect("JSON");
    assert_eq!(file["$schema"], "https://www.speedscope.app/file-format-schema.json");
    let frames = file["shared"]["frames"].as_array().expect("frames");
    let names: Vec<&str> = frames.iter().map(|frame| frame["name"].as_str().expect("a name")).collect();
    for frame in frames {
        let optional = |key: &str| frame.as_object().expect("an object").get(key);
        assert!(optional("file").is_none_or(Value::is_string), "{frame}");
        assert!(optional("line").is_none_or(Value::is_u64), "{frame}");
    }
    assert_eq!(frames.iter().map(Value::to_string).collect::<BTreeSet<_>>().len(), frames.len(), "each once");
    let [profile] = file["profiles"].as_array().expect("profiles").as_slice() else { panic!("one profile") };
    assert_eq!((&profile["type"], &profile["unit"]), (&"sampled".into(), &"bytes".into()));
    let (samples, weights) = (profile["samples"].as_array(), profile["weights"].as_array());
    let (samples, weights) = (samples.expect("samples"), weights.expect("weights"));
    assert_eq!(samples.len(), weights.len());
    let weights: Vec<u64> = weights.iter().map(|weight| weight.as_u64().expect("bytes")).collect();
    let sum = weights.iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight));
    assert_eq!((profile["startValue"].as_u64(), profile["endValue"].as_u64()), (Some(0), Some(sum)));
    let name = |index: &Value| names[index.as_u64().expect("an index") as usize].to_owned();
    let stacks = samples.iter().map(|sample| sample.as_array().expect("a stack").iter().map(name).collect());
    stacks.zip(weights).collect()
}

#[test]
fn the_sum_is_the_live_heap_and_the_stacks_are_those_of_the_other_format() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots/v1.4.diag");
    for snapshot in [file::read(&golden).expect("readable").0, iothub::service(2_000, 1_000)] {
        let stacks = read(&snapshot);
        let truth = snapshot.heap.as_ref().expect("a heap").live_bytes();
        let sum: u64 = stacks.iter().map(|(_, bytes)| bytes).sum();
        assert!(!stacks.is_empty() && truth > 0.0);
        // Each stack is rounded by itself.
        assert!((sum as f64 - truth).abs() <= 0.5 * stacks.len() as f64, "{sum} is not {truth}");

        let collapsed = String::from_utf8(exported(&snapshot, "collapsed")).expect("text");
        let mut bytes_of: BTreeMap<String, u64> = BTreeMap::new();
        for (stack, bytes) in &stacks {
            *bytes_of.entry(stack.join(";")).or_default() += bytes;
        }
        assert_eq!(collapsed.lines().count(), bytes_of.len());
        for line in collapsed.lines() {
            let (stack, bytes) = line.rsplit_once(' ').expect("a number");
            let bytes: u64 = bytes.parse().expect("a number");
            assert!(bytes.abs_diff(bytes_of[stack]) as usize <= stacks.len(), "{line}");
        }
    }
}

#[test]
fn a_snapshot_that_lies_still_makes_a_valid_file() {
    let mut snapshot = iothub::service(20, 20);
    let hostile = snapshot.strings.intern("a\";\\\n\u{1b}[31m\u{2028}");
    let names: Vec<NameRow> = snapshot.stacks.names.iter().collect();
    snapshot.stacks.names = names.into_iter().map(|row| NameRow { function: hostile, ..row }).collect();
    let heap = snapshot.heap.as_mut().expect("a heap");
    let mut sample = heap.samples.get(19).expect("the last one");
    for (size_bytes, rate_bytes) in [(0, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        sample.birth += 1;
        let stack = StackIndex(u32::MAX);
        heap.samples.push(SampleRow { size_bytes, rate_bytes, stack, ..sample });
    }
    snapshot.process.service = "\"\n".to_owned();
    let stacks = read(&snapshot);
    let functions = stacks.iter().flat_map(|(stack, _)| stack);
    assert!(functions.into_iter().any(|name| name == "a\";\\\n\u{1b}[31m\u{2028}"), "{stacks:?}");
    assert!(read(&Snapshot::default()).is_empty());
}
