//! What the process has around it: its runtimes, what its descriptors stand for, its children, and what is short.

use diag_snapshot::{Child, DescriptorTarget, Pressure, Runtime};
use serde::Serialize;

use super::RangeNs;
use crate::Analysis;
use crate::human::{count, counted, duration, name};

/// What the process has around it, each with the file that says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProcessFactsView {
    /// The tokio runtimes that the recorder knows.
    pub runtimes: Vec<RuntimeView>,
    /// What the most descriptors stand for, the most frequent first; sockets by protocol and state.
    pub descriptor_targets: Vec<TargetView>,
    /// Descriptors that stand for something else.
    pub other_targets: u64,
    /// Children that nobody has waited for, if that is known.
    pub child_processes: Option<u64>,
    /// Some of them.
    pub children: Vec<ChildView>,
    /// How long tasks of the system, or of the control group, wait for what is short.
    pub pressure: Vec<PressureView>,
}

/// A tokio runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuntimeView {
    /// Its name; safe to print.
    pub name: String,
    /// Worker threads.
    pub workers: u64,
    /// Live tasks, as it counts them.
    pub alive_tasks: Option<u64>,
    /// Tasks that wait for a worker outside of the queues of the workers.
    pub queued_tasks: Option<u64>,
    /// How long each worker was busy; empty if that is not told.
    pub busy_by_worker_ns: Vec<u64>,
    /// How often each worker went to sleep; empty if that is not told.
    pub parks_by_worker: Vec<u64>,
    /// Where this is read.
    pub source: &'static str,
}

/// What descriptors stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TargetView {
    /// A path, a kind, or a protocol and the state of its sockets; safe to print.
    pub target: String,
    /// So many descriptors.
    pub open: u64,
    /// Where this is read; safe to print.
    pub source: String,
}

/// A child that nobody has waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChildView {
    /// Its process id.
    pub pid: u32,
    /// The name of its program; safe to print.
    pub name: String,
    /// True if it has ended.
    pub has_ended: bool,
    /// Where this is read; safe to print.
    pub source: String,
}

/// How long tasks wait for one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PressureView {
    /// `cpu`, `memory` or `io`; safe to print.
    pub of: String,
    /// Part of the last ten seconds in which some task waited.
    pub some_percent: f64,
    /// Part in which all did.
    pub full_percent: Option<f64>,
    /// Time in which some task waited, since start of the system or the group.
    pub some_ns: u64,
    /// Where this is read; safe to print.
    pub source: String,
}

impl Analysis {
    /// Returns what the process has around it, as far as it is known.
    pub fn process_facts_view(&self) -> ProcessFactsView {
        let capture = &self.snapshot().capture;
        let resources = &capture.resources;
        ProcessFactsView {
            runtimes: capture.runtimes.iter().map(runtime).collect(),
            descriptor_targets: resources.descriptor_targets.iter().map(target).collect(),
            other_targets: resources.other_targets,
            child_processes: resources.child_processes,
            children: resources.children.iter().flatten().map(child).collect(),
            pressure: resources.pressure.iter().map(pressure).collect(),
        }
    }
}

fn runtime(runtime: &Runtime) -> RuntimeView {
    RuntimeView {
        name: name(&runtime.name),
        workers: runtime.workers,
        alive_tasks: runtime.alive_tasks,
        queued_tasks: runtime.queued_tasks,
        busy_by_worker_ns: runtime.busy_by_worker_ns.clone(),
        parks_by_worker: runtime.parks_by_worker.clone(),
        source: "tokio's RuntimeMetrics",
    }
}

fn target(DescriptorTarget { target, open, source }: &DescriptorTarget) -> TargetView {
    TargetView { target: name(target), open: *open, source: name(source) }
}

fn child(Child { pid, name: program, has_ended, source }: &Child) -> ChildView {
    ChildView { pid: *pid, name: name(program), has_ended: *has_ended, source: name(source) }
}

fn pressure(pressure: &Pressure) -> PressureView {
    let percent = |ppm: u64| ppm as f64 / 1e4;
    PressureView {
        of: name(&pressure.of),
        some_percent: percent(pressure.some_ppm),
        full_percent: pressure.full_ppm.map(percent),
        some_ns: super::ns(pressure.some_us),
        source: name(&pressure.source),
    }
}

impl ProcessFactsView {
    /// What is known, a line for each thing: runtimes, targets of descriptors, children, pressure.
    pub fn lines(&self) -> Vec<String> {
        let runtimes = self.runtimes.iter().filter_map(RuntimeView::sentence);
        let targets = self.targets_sentence();
        let children = self.children_sentence();
        let pressure = self.pressure.iter().filter(|pressure| pressure.some_percent > 0.0);
        runtimes.chain(targets).chain(children).chain(pressure.map(PressureView::sentence)).collect()
    }

    /// `descriptors: 3,880 tcp established, 12 /var/lib/state.db, 204 others`
    fn targets_sentence(&self) -> Option<String> {
        const LISTED: usize = 5;
        let listed = self.descriptor_targets.iter().take(LISTED);
        let listed: Vec<String> =
            listed.map(|target| format!("{} {}", count(target.open), target.target)).collect();
        let rest = self.descriptor_targets.iter().skip(LISTED).map(|target| target.open);
        let rest = rest.fold(self.other_targets, u64::saturating_add);
        let rest = if rest > 0 { format!(", {}", counted(rest, "other")) } else { String::new() };
        (!listed.is_empty()).then(|| format!("descriptors: {}{rest}", listed.join(", ")))
    }

    /// `2 child processes that nobody has waited for: ota-helper (4890, ended), sh (4891)`
    fn children_sentence(&self) -> Option<String> {
        const LISTED: usize = 5;
        let children = self.child_processes.filter(|&children| children > 0)?;
        let noun = if children == 1 { "child process" } else { "child processes" };
        let one = |child: &ChildView| {
            format!("{} ({}{})", child.name, child.pid, if child.has_ended { ", ended" } else { "" })
        };
        let listed: Vec<String> = self.children.iter().take(LISTED).map(one).collect();
        Some(format!("{} {noun} that nobody has waited for: {}", count(children), listed.join(", ")))
    }
}

impl RuntimeView {
    /// `runtime main: 2 workers, 3 tasks queued, each busy for 1.3 min..1.5 min`; none if no more than their number is known.
    fn sentence(&self) -> Option<String> {
        let queued = self.queued_tasks?;
        let busy = RangeNs::of(self.busy_by_worker_ns.iter().copied());
        let busy = busy.map(|busy| format!(", each busy for {busy}")).unwrap_or_default();
        let workers = counted(self.workers, "worker");
        Some(format!("runtime {}: {workers}, {} queued{busy}", self.name, counted(queued, "task")))
    }
}

impl PressureView {
    /// `cpu is short: some task waited for it in 12.3 % of the last 10 s (/proc/pressure/cpu), 1.5 min in all`
    fn sentence(&self) -> String {
        format!(
            "{} is short: some task waited for it in {:.1} % of the last 10 s, {} in all ({})",
            self.of,
            self.some_percent,
            duration(self.some_ns),
            self.source
        )
    }
}

#[cfg(test)]
mod tests {
    use diag_test_support::iothub;

    use super::*;

    #[test]
    fn each_fact_is_a_line() {
        let view = Analysis::new(iothub::service(4, 0)).process_facts_view();
        let expected = [
            "runtime main: 2 workers, 3 tasks queued, each busy for 1.3 min..1.5 min",
            "descriptors: 3,880 tcp established, 12 /var/lib/iothub/state.db, 204 others",
            "1 child process that nobody has waited for: ota-helper (4890, ended)",
            "cpu is short: some task waited for it in 12.3 % of the last 10 s, 1.4 min in all (/proc/pressure/cpu)",
        ];
        assert_eq!(view.lines(), expected);
        assert_eq!(Analysis::new(Default::default()).process_facts_view().lines(), [""; 0]);
    }
}
