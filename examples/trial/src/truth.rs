//! What each service says of itself, from its own bookkeeping.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What `truth.json` has of every service, beside what each has of its own.
#[derive(Clone, Debug, Deserialize)]
pub struct Truth {
    /// The lines at fault.
    pub lines: Vec<String>,
    /// How many times the mistake was made so far.
    pub count: u64,
}

/// Reads the truth of a run.
///
/// # Errors
/// If there is none yet, or it is another service's.
pub fn read<T: DeserializeOwned>(dir: &Path) -> anyhow::Result<T> {
    let path = dir.join("truth.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// Writes the truth of a run. Whoever looks for it finds it whole.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(dir: &Path, truth: &impl Serialize) -> anyhow::Result<()> {
    let new = dir.join("truth.new");
    fs::write(&new, serde_json::to_string_pretty(truth)? + "\n")?;
    Ok(fs::rename(new, dir.join("truth.json"))?)
}
