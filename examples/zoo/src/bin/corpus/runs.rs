//! What is run, and what is right to say of it: `truth.toml`.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    run: Vec<Run>,
}

/// A case with its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// The program and its arguments.
    pub(crate) command: String,
}

impl Run {
    /// The name of its folder.
    pub(crate) fn name(&self) -> String {
        self.command.replace(' ', "")
    }

    /// The program's name.
    pub(crate) fn program(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    pub(crate) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words().skip(1)
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.command.split(' ')
    }
}

/// Returns all runs, in the order of the file.
pub(crate) fn read(truth: &Path) -> anyhow::Result<Vec<Run>> {
    let text = std::fs::read_to_string(truth).with_context(|| format!("reading {}", truth.display()))?;
    let truth: Truth = toml::from_str(&text).with_context(|| format!("in {}", truth.display()))?;
    Ok(truth.run)
}
