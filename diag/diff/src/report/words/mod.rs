//! The words: what rules say, as a colleague would say it.
//!
//! Text, Markdown, JSON and pages all have their sentences from here: each kind of fact is put into words by its
//! `Display`, and nothing else makes any.

mod advice;
mod evidence;
mod holder;
mod reason;
mod remark;
mod risk;
mod wait;

use std::fmt::Display;

use diag_analysis::human;
use diag_snapshot::{Bytes, Micros};

use crate::rules::finding::Finding;

/// Where tasks wait and who holds what they are about, each under its label; safe to print.
pub fn places(finding: &Finding) -> impl Iterator<Item = (&'static str, String)> {
    let waits = finding.waiting_at.as_ref().map(|wait| ("waits for", shown(wait)));
    waits.into_iter().chain(finding.held_by.as_ref().map(|holder| ("held by", shown(holder))))
}

/// Sentences in one line.
pub fn joined<T: Display>(facts: &[T]) -> String {
    facts.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

fn shown(place: &impl Display) -> String {
    human::name(&place.to_string())
}

fn count(number: &u64) -> String {
    human::count(*number)
}

fn time(span: &Micros) -> String {
    human::duration(span.as_nanos())
}

fn size(bytes: &Bytes) -> String {
    human::bytes(bytes.0)
}

/// `1 task is`, `4,812 tasks are`.
fn tasks(tasks: &u64, [one, many]: [&str; 2]) -> String {
    format!("{} {}", human::counted(*tasks, "task"), if *tasks == 1 { one } else { many })
}
