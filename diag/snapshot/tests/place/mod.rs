//! A function of a stack, as the files of stacks in `testdata` have it.

use diag_snapshot::names::Place;

/// `function | file:line`.
pub(crate) fn place(line: &str) -> Place {
    let (function, at) = line.split_once(" | ").map_or((line, None), |(function, at)| (function, Some(at)));
    let at = at.and_then(|at| at.rsplit_once(':'));
    Place {
        function: function.to_owned(),
        file: at.map(|(file, _)| file.to_owned()),
        line: at.and_then(|(_, line)| line.parse().ok()),
    }
}
