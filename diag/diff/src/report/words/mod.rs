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
use crate::rules::subject::{ProcessPart, Subject};

/// Where tasks wait and who holds what they are about, each under its label; safe to print.
pub fn places(finding: &Finding) -> impl Iterator<Item = (&'static str, String)> {
    let waits = finding.waiting_at.as_ref().map(|wait| ("waits for", shown(wait)));
    waits.into_iter().chain(finding.held_by.as_ref().map(|holder| ("held by", shown(holder))))
}

/// How many it is about: `659 tasks`. What the place in parentheses names is not named twice.
pub fn counted(finding: &Finding) -> Option<String> {
    finding.count.map(|count| match finding.subject {
        Subject::Gauge(_) | Subject::Process(ProcessPart::Threads) => human::count(count),
        Subject::Thread(_) => human::counted(count, "thread"),
        Subject::Resources { ref what, .. } => human::counted(count, &human::name(what)),
        _ => human::counted(count, "task"),
    })
}

/// What its bytes are, if it is about tasks that live: `148 KiB the tasks themselves, 6.1 MiB (95 %: 5 MiB to 7 MiB) allocated by
/// them`.
pub fn split(finding: &Finding) -> Option<String> {
    let (cells, allocated) = (finding.cell_bytes?, finding.allocated()?);
    Some(format!(
        "{} the tasks themselves, {} (95 %: {}) allocated by them",
        size(&cells),
        allocated.estimate(),
        allocated.interval()
    ))
}

/// How fast these become more: `+46.3/s`, and by the hour what is slower than one in ten seconds: `+8.0/h`.
pub fn speed(finding: &Finding) -> Option<String> {
    finding.rate_per_s.map(|per_s| match per_s.abs() < 0.1 {
        true => format!("{:+.1}/h", per_s * 3_600.0),
        false => format!("{per_s:+.1}/s"),
    })
}

/// Sentences in one line.
pub fn joined<T: Display>(facts: &[T]) -> String {
    facts.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

/// How many or how much it is about: `659 tasks, 6.3 MiB`; what speaks for it where nothing is counted.
pub fn amount(finding: &Finding) -> String {
    let parts = [
        counted(finding),
        finding.bytes.map(|bytes| bytes.estimate()),
        finding.growth.map(|growth| format!("grown by {}", growth.estimate())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => finding.evidence.first().map_or(finding.rule.to_owned(), ToString::to_string),
        false => parts.join(", "),
    }
}

/// What it comes to if it goes on; none of what does not grow.
pub fn forecast(finding: &Finding) -> Option<String> {
    use crate::rules::risk::Risk::{DescriptorsRunOut, GaugeGrows, MemoryGrows, MemoryRunsOut, TasksGrow};
    match &finding.risk {
        risk @ (DescriptorsRunOut { .. }
        | GaugeGrows { .. }
        | MemoryGrows { .. }
        | MemoryRunsOut { .. }
        | TasksGrow { .. }) => Some(risk.to_string()),
        _ => None,
    }
}

pub(super) fn shown(place: &impl Display) -> String {
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
