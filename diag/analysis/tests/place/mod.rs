//! The files of stacks in `testdata`: what is expected of each stands at its head, after `# `, and a function
//! is a line.

use std::path::Path;

use diag_analysis::source_location::SourceLocation;
use diag_test_support::golden::assert_golden;

/// Compares what `said` makes of each piece of a file with its head. `DIAG_BLESS=1` rewrites the heads.
pub(crate) fn check(name: &str, said: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name);
    let expected = std::fs::read_to_string(&path).expect("the stacks are there");
    let pieces = expected.split("# ").skip(1).filter_map(|piece| piece.split_once('\n'));
    let actual: String = pieces.map(|(_, stacks)| format!("# {}\n{stacks}", said(stacks))).collect();
    assert_golden(path, &actual);
}

/// `function | file:line`.
pub(crate) fn place(line: &str) -> SourceLocation {
    let (function, at) = line.split_once(" | ").map_or((line, None), |(function, at)| (function, Some(at)));
    let at = at.and_then(|at| at.rsplit_once(':'));
    SourceLocation {
        function: function.into(),
        file: at.map(|(file, _)| file.into()),
        line: at.and_then(|(_, line)| line.parse().ok()),
    }
}
