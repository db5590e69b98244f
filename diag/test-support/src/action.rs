//! The script of the GitHub action, run as a workflow runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the action.
pub const ACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.github/actions/check");

/// What a run of the action left.
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// All that it printed, in which lines that begin with two colons are annotations.
    pub log: String,
    /// What it added to the step's summary.
    pub summary: String,
    /// The folder that becomes an artifact.
    pub kept: PathBuf,
    /// What later steps are told.
    pub outputs: String,
}

impl Run {
    /// Runs the script with these inputs and this `diag`, in a folder of its own.
    #[track_caller]
    pub fn new(diag: &Path, folder: &Path, inputs: &[(&str, &str)]) -> Self {
        let [summary, outputs] = ["summary", "outputs"].map(|name| folder.join(name));
        let _ = fs::remove_file(&summary);
        let _ = fs::remove_file(&outputs);
        let mut script = Command::new(format!("{ACTION}/check.sh"));
        script.current_dir(folder).env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &outputs);
        script.env("RUNNER_TEMP", folder).env("INPUT_DIAG", diag);
        script.envs(inputs.iter().copied());
        let output = script.output().expect("bash runs it");
        let outputs = fs::read_to_string(&outputs).unwrap_or_default();
        let kept = outputs.lines().find_map(|line| line.strip_prefix("kept=")).unwrap_or_default();
        Run {
            code: output.status.code().expect("it ends"),
            log: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            summary: fs::read_to_string(&summary).unwrap_or_default(),
            kept: kept.into(),
            outputs,
        }
    }

    /// The annotations, one a line.
    pub fn annotations(&self) -> Vec<&str> {
        self.log.lines().filter(|line| line.starts_with("::")).collect()
    }
}
