//! What the process has used of the CPUs, and which of its threads did.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::Analysis;
use crate::human::duration;

/// CPU time of the process since it began.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CpuView {
    /// In its own code.
    pub user_ns: u64,
    /// In the kernel.
    pub system_ns: u64,
    /// What it used on average since its start, in percent of one CPU.
    pub percent: f64,
    /// Its threads, those that used most first; empty if that is not known. Threads that have ended are in none.
    pub threads: Vec<ThreadCpuView>,
}

/// CPU time of the live threads of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ThreadCpuView {
    /// The name; none if it is not known.
    pub name: Option<String>,
    /// True of threads of the recorder.
    pub is_recorder: bool,
    /// How many threads are called so.
    pub threads: u64,
    /// Time that they ran on a CPU; none if it is not known of one of them.
    pub cpu_ns: Option<u64>,
    /// The most that one of them did.
    pub busiest_ns: Option<u64>,
    /// Time that they were ready to run and waited for a CPU.
    pub wait_ns: Option<u64>,
}

impl Analysis {
    /// Returns the CPU time of the process; none if that is not known.
    pub fn cpu_view(&self) -> Option<CpuView> {
        let capture = &self.snapshot().capture;
        let (user_ns, system_ns) = capture.resources.cpu_user_ns.zip(capture.resources.cpu_system_ns)?;
        let uptime_us = capture.to_us.max(1) as f64;
        let percent = (user_ns as f64 + system_ns as f64) / uptime_us / 10.0;
        Some(CpuView { user_ns, system_ns, percent, threads: self.thread_cpu_views() })
    }

    /// Returns the CPU time of the live threads by name, those that used most first.
    pub fn thread_cpu_views(&self) -> Vec<ThreadCpuView> {
        let snapshot = self.snapshot();
        let mut by_name: BTreeMap<(Option<&str>, bool), ThreadCpuView> = BTreeMap::new();
        for thread in snapshot.thread_cpu.iter() {
            let name = thread.name.map(|name| snapshot.strings.show(name));
            let none = || ThreadCpuView {
                name: name.map(str::to_owned),
                is_recorder: thread.is_recorder,
                threads: 0,
                cpu_ns: Some(0),
                busiest_ns: None,
                wait_ns: Some(0),
            };
            let view = by_name.entry((name, thread.is_recorder)).or_insert_with(none);
            view.threads += 1;
            view.cpu_ns = sum(view.cpu_ns, thread.cpu_ns);
            view.busiest_ns = view.busiest_ns.max(thread.cpu_ns);
            view.wait_ns = sum(view.wait_ns, thread.wait_ns);
        }
        let mut views: Vec<ThreadCpuView> = by_name.into_values().collect();
        views.sort_by_key(|view| Reverse(view.cpu_ns));
        views
    }
}

impl CpuView {
    /// All of it in a sentence: `CPU time 17 min since start (14 % of one CPU), 10 % of it in the kernel`.
    pub fn sentence(&self) -> String {
        let all_ns = self.user_ns.saturating_add(self.system_ns);
        let in_kernel = self.system_ns as f64 / all_ns.max(1) as f64 * 100.0;
        format!(
            "CPU time {} since start ({:.0} % of one CPU), {in_kernel:.0} % of it in the kernel",
            duration(all_ns),
            self.percent
        )
    }
}

fn sum(all: Option<u64>, one: Option<u64>) -> Option<u64> {
    Some(all?.saturating_add(one?))
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{Snapshot, ThreadCpuRow};

    use super::*;

    #[test]
    fn threads_of_one_name_are_one_row_and_what_is_unknown_of_one_is_of_all() {
        let mut snapshot = Snapshot::default();
        let [worker, agent] = ["worker", "diag-agent"].map(|name| Some(snapshot.strings.intern(name)));
        let rows = [(worker, Some(5), false), (worker, Some(7), false), (agent, None, true)];
        for (tid, (name, cpu_ns, is_recorder)) in (1..).zip(rows) {
            let row = ThreadCpuRow { tid, name, cpu_ns, wait_ns: cpu_ns, is_recorder, ..Default::default() };
            snapshot.thread_cpu.push(row);
        }
        let analysis = Analysis::new(snapshot);
        let views = analysis.thread_cpu_views();
        let figures = |view: &ThreadCpuView| (view.threads, view.cpu_ns, view.busiest_ns, view.is_recorder);
        let figures: Vec<_> = views.iter().map(figures).collect();
        assert_eq!(figures, [(2, Some(12), Some(7), false), (1, None, None, true)]);
        assert_eq!(analysis.cpu_view(), None, "of the process it is not known");
    }

    #[test]
    fn time_is_set_against_the_time_that_it_runs() {
        let mut snapshot = Snapshot::default();
        snapshot.capture.to_us = 10_000_000;
        snapshot.capture.resources.cpu_user_ns = Some(15_000_000_000);
        snapshot.capture.resources.cpu_system_ns = Some(5_000_000_000);
        let view = Analysis::new(snapshot).cpu_view().expect("it is known");
        assert_eq!(view.sentence(), "CPU time 20 s since start (200 % of one CPU), 25 % of it in the kernel");
    }
}
