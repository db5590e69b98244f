//! Collapsed stacks are read by the tool that they are for.

use std::path::Path;

use diag_analysis::export;
use diag_snapshot::file;
use inferno::flamegraph::{Options, from_lines};

#[test]
fn inferno_draws_the_whole_live_heap() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/snapshots/v1.4.diag");
    let snapshot = file::read(&golden).expect("readable").0;
    let mut text = Vec::new();
    export::by_name("collapsed")
        .expect("it is there")
        .export(&snapshot.clone().into(), &mut text)
        .expect("memory takes it");
    let text = String::from_utf8(text).expect("text");
    let bytes = text.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    let (sum, mut options, mut svg) = (bytes.sum::<u64>(), Options::default(), Vec::new());
    options.count_name = "bytes".to_owned();
    from_lines(&mut options, text.lines(), &mut svg).expect("it reads each line");
    let svg = String::from_utf8(svg).expect("text").replace(',', "");
    assert!(sum > 0 && svg.contains(&format!("all ({sum} bytes 100%)")), "{sum} bytes are not the picture's");
}
