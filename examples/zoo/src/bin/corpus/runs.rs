//! What is run, and what is right to say of it: `truth.toml`.

use std::path::Path;

use anyhow::{Context, ensure};
use diag_diff::{Category, Confidence};
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
    /// What is right to say of the fault; none of a healthy run, of which nothing is to be said.
    pub(crate) wanted: Option<Wanted>,
}

/// What is right to say of a fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Exit code of `diag check` over the series.
    pub(crate) exit: u8,
    /// The kind of trouble, any of these.
    #[serde(deserialize_with = "categories")]
    pub(crate) category: Vec<Category>,
    /// At least so sure.
    #[serde(deserialize_with = "confidence")]
    pub(crate) confidence: Confidence,
    /// The rules that may say it; any, if empty.
    #[serde(default)]
    pub(crate) rules: Vec<String>,
    /// What the finding must name: of each list one, in whatever case.
    pub(crate) cause: Vec<Vec<String>>,
    /// What is enough until the files hold more, and what they lack.
    pub(crate) today: Option<Today>,
}

/// What is enough until the files hold more.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Today {
    pub(crate) exit: u8,
    /// At least so sure; none if nothing need be said.
    #[serde(default, deserialize_with = "maybe_confidence")]
    pub(crate) confidence: Option<Confidence>,
    /// The fact that is missing.
    pub(crate) lacks: String,
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

/// Returns all runs whose name begins with one of these words, in the order of the file; with no words, all.
pub(crate) fn read(truth: &Path, only: &[String]) -> anyhow::Result<Vec<Run>> {
    let text = std::fs::read_to_string(truth).with_context(|| format!("reading {}", truth.display()))?;
    let Truth { run: mut runs } = toml::from_str(&text).with_context(|| format!("in {}", truth.display()))?;
    runs.retain(|run| only.is_empty() || only.iter().any(|word| run.name().starts_with(word)));
    ensure!(!runs.is_empty(), "{} has no run of that name", truth.display());
    Ok(runs)
}

fn categories<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Category>, D::Error> {
    let all = [Category::Leak, Category::Stuck, Category::Runaway, Category::Fault, Category::Retention];
    let of_word = |word: &String| all.into_iter().find(|category| category.as_str() == word);
    let words = Vec::<String>::deserialize(from)?;
    words.iter().map(|word| of_word(word).ok_or_else(|| unknown(word))).collect()
}

fn confidence<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Confidence, D::Error> {
    let word = String::deserialize(from)?;
    Confidence::from_word(&word).ok_or_else(|| unknown(&word))
}

fn maybe_confidence<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Confidence>, D::Error> {
    confidence(from).map(Some)
}

fn unknown<E: serde::de::Error>(word: &str) -> E {
    E::custom(format!("`{word}` is no such word"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::marked_lines;

    fn all() -> Vec<Run> {
        read(&crate::home().join("truth.toml"), &[]).expect("it can be read")
    }

    #[test]
    fn every_fault_has_a_line_and_every_program_a_healthy_run() {
        let runs = all();
        for run in &runs {
            let source = std::fs::read_to_string(crate::source_of(run.program())).expect(&run.command);
            assert!(run.wanted.is_none() || !marked_lines(&source).is_empty(), "{}", run.command);
            let twin = |other: &Run| other.program() == run.program() && other.wanted.is_none();
            assert!(runs.iter().any(twin), "{} has no healthy run", run.command);
        }
    }

    #[test]
    fn every_program_is_run() {
        let runs = all();
        for entry in std::fs::read_dir(crate::home().join("src/bin")).expect("a folder") {
            let path = entry.expect("an entry").path();
            let program = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            assert!(program == "corpus" || runs.iter().any(|run| run.program() == program), "{program}");
        }
    }

    #[test]
    fn the_exit_code_follows_from_what_is_wanted() {
        for (run, wanted) in all().iter().filter_map(|run| Some((run, run.wanted.as_ref()?))) {
            let fails =
                wanted.confidence >= Confidence::Likely && !wanted.category.contains(&Category::Retention);
            assert_eq!(wanted.exit, u8::from(fails), "{}", run.command);
        }
    }
}
