//! A rule, explained: what `diag explain` prints and `VERDICTS.md` holds, made of what the rule declares.

use std::fmt::Write as _;

use serde::Serialize;

use crate::rules::params::{Param, Value};
use crate::rules::rule::AnyRule;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "diag.rules/1";

/// A rule, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleView {
    /// Its name in reports and in `diag.toml`.
    pub name: &'static str,
    /// The kinds of trouble that it finds.
    pub categories: Vec<&'static str>,
    /// What it needs to look at.
    pub needs: &'static str,
    /// What a finding says.
    pub says: &'static str,
    /// When it finds something, how sure that is, and what speaks against it; Markdown.
    pub doc: &'static str,
    /// Its thresholds.
    pub params: Vec<ParamView>,
}

/// A threshold, explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParamView {
    /// Its key in the rule's table of `diag.toml`.
    pub name: &'static str,
    /// What holds where the policy says nothing.
    pub default: Value,
    /// What a value must be.
    pub must_be: &'static str,
    /// What it means.
    pub doc: &'static str,
}

impl RuleView {
    /// Returns the view of a rule.
    pub fn of(rule: &dyn AnyRule) -> Self {
        RuleView {
            name: rule.name(),
            categories: rule.categories().iter().map(|category| category.as_str()).collect(),
            needs: rule.needs().as_str(),
            says: rule.says(),
            doc: rule.doc(),
            params: rule.params().iter().map(ParamView::of).collect(),
        }
    }

    /// Returns the rule in one line: `task-leak  leak  tasks of one spawn site come to rest and stay`.
    pub fn line(&self) -> [String; 3] {
        [self.name.to_owned(), self.categories.join(" or "), self.says.to_owned()]
    }

    /// Returns the rule for a terminal.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{} ({}): {}\nneeds {}\n\n{}",
            self.name,
            self.categories.join(" or "),
            self.says,
            self.needs,
            self.doc
        );
        if !self.params.is_empty() {
            let _ = write!(out, "\nIn diag.toml, with the defaults:\n\n[rules.{}]\n", self.name);
        }
        for ParamView { name, default, must_be, doc } in &self.params {
            let _ = writeln!(out, "{name} = {default}  # {must_be}: {doc}");
        }
        out
    }

    /// Returns the rule as a section of `VERDICTS.md`.
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "## `{}` ({})\n\n*Says*: {}. *Needs* {}.\n\n{}",
            self.name,
            self.categories.join(" or "),
            self.says,
            self.needs,
            self.doc
        );
        if !self.params.is_empty() {
            let _ = write!(
                out,
                "\n| in `[rules.{}]` | default | must be | what |\n|---|---:|---|---|\n",
                self.name
            );
        }
        for ParamView { name, default, must_be, doc } in &self.params {
            let _ = writeln!(out, "| `{name}` | {default} | {must_be} | {doc} |");
        }
        out
    }
}

impl ParamView {
    fn of(param: &Param) -> Self {
        ParamView {
            name: param.name,
            default: param.default,
            must_be: param.kind.must(),
            doc: param.doc.trim_start(),
        }
    }
}
