//! `diag explain [RULE]`: what a rule finds, when, and what a policy can tell it.

use std::fmt::Write as _;

use diag_diff::report::explain::{RuleView, SCHEMA};
use diag_diff::rules::{RULES, by_name};
use serde::Serialize;

use super::exit::{End, Failure};
use super::output::{Format, Output, print};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  diag explain task-leak")]
pub(crate) struct Args {
    /// The rule; without it all are listed
    rule: Option<String>,
}

#[derive(Serialize)]
struct Explained {
    schema: &'static str,
    rules: Vec<RuleView>,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let rules: Vec<RuleView> = match &args.rule {
        Some(name) => vec![find(name)?],
        None => RULES.iter().map(|rule| RuleView::of(*rule)).collect(),
    };
    let is_list = args.rule.is_none();
    print(&match output.format {
        Format::Text if is_list => list(&rules),
        Format::Text => rules.iter().map(RuleView::text).collect(),
        Format::Markdown => rules.iter().map(RuleView::markdown).collect::<Vec<_>>().join("\n"),
        Format::Json => json(&Explained { schema: SCHEMA, rules }, serde_json::to_string_pretty),
        Format::Jsonl => json(&Explained { schema: SCHEMA, rules }, serde_json::to_string),
    })?;
    Ok(End::Clean)
}

fn find(name: &str) -> Result<RuleView, Failure> {
    by_name(name).map(RuleView::of).ok_or_else(|| {
        let names = RULES.iter().map(|rule| rule.name());
        let nearest = names.clone().min_by_key(|known| strsim::damerau_levenshtein(name, known));
        Failure::Usage(format!(
            "there is no rule `{}`, did you mean `{}`? There are {}",
            name.escape_debug(),
            nearest.unwrap_or_default(),
            names.collect::<Vec<_>>().join(", ")
        ))
    })
}

/// A rule a line: its name, what kind of trouble, what it says.
fn list(rules: &[RuleView]) -> String {
    let lines: Vec<[String; 3]> = rules.iter().map(RuleView::line).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let (names, categories) = (width(0), width(1));
    let mut out = String::new();
    for [name, category, says] in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<names$}  {category:<categories$}  {says}");
    }
    out + "\nOne of them, with what a policy can tell it: diag explain RULE\n"
}

/// Serialising to a string fails only for maps whose keys are not strings; there are none.
fn json(view: &Explained, write: fn(&Explained) -> serde_json::Result<String>) -> String {
    write(view).unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string()) + "\n"
}
