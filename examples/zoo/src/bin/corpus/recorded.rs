//! A run that was recorded: its snapshots, and the lines of its source that a report may name.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use diag_analysis::Analysis;
use diag_snapshot::file;

/// A comment that says: this line is at fault. Alone in its line it speaks of the line above.
const MARK: &str = "// FAULT";

/// The file that says that a run is recorded to its end.
pub(crate) const DONE: &str = "done";

/// A run that was recorded.
pub(crate) struct Recorded {
    /// In the order of time.
    pub(crate) snapshots: Vec<Analysis>,
    /// `program.rs:line`, as the source had it when the run was recorded.
    pub(crate) faults: Vec<String>,
}

impl Recorded {
    /// Reads the folder of a run.
    pub(crate) fn read(dir: &Path, program: &str) -> anyhow::Result<Self> {
        let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "diag"));
        paths.sort();
        ensure!(paths.len() > 1, "{}: fewer than two snapshots", dir.display());
        let snapshots = paths.iter().map(|path| whole(path)).collect::<anyhow::Result<_>>()?;
        let source = fs::read_to_string(dir.join("source.rs"))?;
        let faults = marked_lines(&source).iter().map(|line| format!("{program}.rs:{line}")).collect();
        Ok(Recorded { snapshots, faults })
    }
}

fn whole(path: &Path) -> anyhow::Result<Analysis> {
    let (snapshot, damages) = file::read(path)?;
    ensure!(damages.is_empty(), "{}: {}", path.display(), damages[0]);
    Ok(Analysis::new(snapshot))
}

/// The numbers of the lines that are marked.
pub(crate) fn marked_lines(source: &str) -> Vec<usize> {
    let marked = source.lines().zip(1..).filter(|(line, _)| line.trim_end().ends_with(MARK));
    marked.map(|(line, number)| if line.trim() == MARK { number - 1 } else { number }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_its_line_or_of_the_one_above() {
        let source = "fn a() {\n    spawn(b()); // FAULT\n    loop {\n        // FAULT\n    }\n} // FAULTS\n";
        assert_eq!(marked_lines(source), [2, 3]);
    }
}
