//! Which threads used the CPUs, by name: workers have one together.

use crate::human::{count, counted, duration, name};
use crate::views::ThreadCpuView;

/// So many names are listed.
const LISTED: usize = 8;

/// Empty if it is not known of any thread.
pub(super) fn cpu(views: &[ThreadCpuView]) -> String {
    let known = views.iter().filter(|view| view.cpu_ns.is_some());
    let lines: Vec<String> = known.filter_map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    let rest = match lines.len().saturating_sub(LISTED) {
        0 => String::new(),
        rest => format!("and threads of {}\n", counted(rest as u64, "other name")),
    };
    let lines = lines.into_iter().take(LISTED).collect::<String>();
    format!("CPU time of threads since their start:\n{lines}{rest}")
}

/// `[x8 iothub-worker] 13 min on a CPU, 2 min the busiest, 24 s ready and waiting for one`
fn line(view: &ThreadCpuView) -> Option<String> {
    let own_name = view.name.as_deref().unwrap_or("unnamed");
    let of_diag = if view.is_recorder { " (diag)" } else { "" };
    let busiest = view.busiest_ns.filter(|_| view.threads > 1);
    let busiest = busiest.map(|ns| format!(", {} the busiest", duration(ns))).unwrap_or_default();
    let wait = view.wait_ns.map(|ns| format!(", {} ready and waiting for one", duration(ns)));
    Some(format!(
        "[x{} {}]{of_diag} {} on a CPU{busiest}{}\n",
        count(view.threads),
        name(own_name),
        duration(view.cpu_ns?),
        wait.unwrap_or_default(),
    ))
}
