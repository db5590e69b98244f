//! A snapshot as text, for `curl` at 3 a.m. and `diag show --tasks`: tasks folded by spawn site, state
//! and what they wait for, as a goroutine dump folds equal stacks.
//!
//! What needs a look comes first: tasks that nothing can wake, threads that are held up in a poll,
//! tasks that were asked to stop and did not, ended tasks that are still held. It states facts and
//! judges nothing: many old tasks may be healthy.

mod cpu;
mod groups;
mod header;
mod mapped_files;
mod resources;
mod tasks;
mod threads;
mod zombies;

use crate::human::{count, counted, name};
use crate::views::{Concern, EndedView, SiteRef};
use crate::{Analysis, not_recorded};

/// Returns the whole text. Names are escaped, so that no name can play with the terminal.
pub fn dump(analysis: &Analysis) -> String {
    let snapshot = analysis.snapshot();
    let groups = analysis.task_groups();
    let tasks = |concern, head| tasks::section(snapshot, &groups, concern, head);
    let parts = [
        header::header(analysis),
        tasks(Concern::Lost, "nothing can wake these tasks any more:\n"),
        threads::threads(&analysis.thread_views()),
        tasks(Concern::AskedToStop, "asked to stop, and still there:\n"),
        zombies::zombies(&analysis.zombie_views()),
        tasks(Concern::None, "live tasks:\n"),
        ended(&analysis.ended_views()),
        groups::groups(&analysis.group_views()),
        resources::resources(&analysis.resource_site_views()),
        cpu::cpu(&analysis.thread_cpu_views()),
        mapped_files::mapped_files(&analysis.mapped_file_views()),
        analysis.process_facts_view().lines().into_iter().map(|line| line + "\n").collect(),
        snapshot
            .capture
            .gauges
            .iter()
            .map(|gauge| format!("gauge {} = {}\n", name(&gauge.name), gauge.value))
            .collect(),
        not_recorded(&snapshot.capture).map(|note| format!("{note}\n")).collect(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn ended(views: &[EndedView]) -> String {
    if views.is_empty() {
        return String::new();
    }
    let all: u64 = views.iter().map(|view| view.tasks).sum();
    let text = |view: &EndedView| {
        let (ends, lived) = (count(view.tasks), view.lived_ns);
        format!("[x{ends} {}, lived {lived}] {}\n", view.how, place(&view.site))
    };
    format!("the last {} ends:\n{}", count(all), views.iter().map(text).collect::<String>())
}

/// `orders::handle at src/orders.rs:88:5`
fn place(site: &SiteRef) -> String {
    format!("{} at {}", site.short_name(), site.location)
}

/// `no handle`, `1 handle`, `3 handles`
fn number_of(what: &str, number: u64) -> String {
    if number == 0 { format!("no {what}") } else { counted(number, what) }
}
