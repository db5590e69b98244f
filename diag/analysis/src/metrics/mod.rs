//! The figures of a snapshot as OpenMetrics 1.0 or in Prometheus' older text format, for Prometheus and its relatives.
//!
//! The names are those of `diag/docs/metrics.md`, and never change. Spawn sites are bounded by the
//! program; those beyond [`MAX_SITES`] are summed up as `(other)`. Intervals and verdicts are not here: they need
//! two snapshots. Written by hand, because the crates for it keep a registry that a snapshot would have to be
//! copied into.

mod text;

use crate::Analysis;
use crate::heap_stacks::{HeapStacks, TaskFate};
use crate::memory_breakdown::MemoryBreakdown;
use crate::site_figures::{OUTCOMES, STATES, Sites};
use diag_snapshot::Snapshot;
use text::Text;

pub use crate::site_figures::MAX_SITES;
pub use text::{Syntax, Told};

/// The text for one snapshot of the process that `told` belongs to.
pub fn text(analysis: &Analysis, syntax: Syntax, told: &mut Told) -> String {
    let snapshot = analysis.snapshot();
    let sites = Sites::of(analysis);
    let mut text = Text::new(syntax, told);
    tasks(&mut text, analysis, &sites);
    runtimes(&mut text, snapshot);
    open_resources(&mut text, analysis);
    if snapshot.heap.is_some() {
        heap(&mut text, analysis.heap_stacks(), &sites);
    }
    resident(&mut text, analysis.memory());
    process(&mut text, analysis);
    own(&mut text, snapshot);
    text.finish()
}

fn tasks(text: &mut Text<'_>, analysis: &Analysis, sites: &Sites) {
    text.gauge("diag_tasks", "", "Live tasks by spawn site.");
    sites.each(|labels, site| text.sample("diag_tasks", labels, site.alive as f64));

    text.gauge("diag_tasks_by_state", "", "Live tasks by what they were doing.");
    for ((state, _), tasks) in STATES.into_iter().zip(sites.by_state) {
        text.sample("diag_tasks_by_state", &[("state", state)], tasks as f64);
    }

    text.counter("diag_tasks_spawned", "", "Tasks spawned since start.");
    sites.each(|labels, site| text.total("diag_tasks_spawned", labels, site.spawned as f64));

    text.counter("diag_tasks_ended", "", "Tasks that ended since start, by how.");
    sites.each(|[site, name], figures| {
        for ((outcome, _), tasks) in OUTCOMES.into_iter().zip(figures.ended) {
            text.total("diag_tasks_ended", &[*site, *name, ("outcome", outcome)], tasks as f64);
        }
    });

    text.counter("diag_task_polls", "", "Polls of tasks, live and ended.");
    sites.each_recorded(|labels, site| text.total("diag_task_polls", labels, site.polls as f64));

    text.counter("diag_task_busy_seconds", "seconds", "Time inside polls, estimated from timed ones.");
    sites.each_recorded(|labels, site| {
        text.total("diag_task_busy_seconds", labels, site.busy_ns as f64 / 1e9)
    });

    text.gauge("diag_ended_tasks_held", "", "Ended tasks whose memory is still held by handles or wakers.");
    let held: u64 = analysis.zombie_views().iter().map(|view| view.tasks).sum();
    text.sample("diag_ended_tasks_held", &[], held as f64);
}

fn runtimes(text: &mut Text<'_>, snapshot: &Snapshot) {
    let runtimes = &snapshot.capture.runtimes;
    text.gauge("diag_tracked_tasks", "", "Of the live tasks that tokio counts, those that are recorded.");
    text.sample("diag_tracked_tasks", &[], snapshot.tracked_tasks() as f64);
    text.gauge("diag_runtime_alive_tasks", "", "Live tasks that tokio counts, recorded or not.");
    for runtime in runtimes {
        if let Some(alive) = runtime.alive_tasks {
            text.sample("diag_runtime_alive_tasks", &[("runtime", &runtime.name)], alive as f64);
        }
    }
    text.gauge("diag_runtime_workers", "", "Worker threads.");
    for runtime in runtimes {
        text.sample("diag_runtime_workers", &[("runtime", &runtime.name)], runtime.workers as f64);
    }
}

fn open_resources(text: &mut Text<'_>, analysis: &Analysis) {
    let counts = analysis.resource_counts();
    text.gauge("diag_open_resources", "", "Open sockets and channels of tokio.");
    for (kind, open) in counts.open {
        text.sample("diag_open_resources", &[("kind", kind)], open as f64);
    }
    text.gauge("diag_channel_queued_messages", "", "Messages in mpsc channels of tokio.");
    if let Some(queued) = counts.queued {
        text.sample("diag_channel_queued_messages", &[], queued as f64);
    }
}

fn heap(text: &mut Text<'_>, heap: &HeapStacks, sites: &Sites) {
    let since_start = heap.since_start();
    text.gauge("diag_heap_live_bytes", "bytes", "Live bytes, estimated from samples.");
    text.sample("diag_heap_live_bytes", &[], heap.in_use_bytes(|_| true).round());

    text.counter("diag_heap_allocated_bytes", "bytes", "Bytes allocated since start, estimated.");
    text.total("diag_heap_allocated_bytes", &[], since_start.allocated_bytes as f64);

    text.counter("diag_heap_freed_bytes", "bytes", "Bytes freed since start, estimated.");
    text.total("diag_heap_freed_bytes", &[], since_start.freed_bytes as f64);

    text.gauge("diag_heap_task_site_live_bytes", "bytes", "Live bytes by spawn site of the allocating task.");
    sites.each(|labels, site| text.sample("diag_heap_task_site_live_bytes", labels, site.heap_bytes.round()));

    text.gauge(
        "diag_heap_ended_tasks_live_bytes",
        "bytes",
        "Live bytes that tasks allocated which have ended.",
    );
    let of_ended = heap.in_use_bytes(|stack| stack.task == Some(TaskFate::Ended));
    text.sample("diag_heap_ended_tasks_live_bytes", &[], of_ended.round());
}

fn resident(text: &mut Text<'_>, split: Option<&MemoryBreakdown>) {
    text.gauge("diag_resident_bytes", "bytes", "Resident memory by what it is for; the parts add up to it.");
    let Some(split) = split else { return };
    let parts = [
        ("live_heap", split.heap_bytes),
        ("held_free", split.held_bytes),
        ("stacks", split.stacks_bytes),
        ("files", split.files_bytes),
        ("diag", split.diag_bytes),
    ];
    for (part, bytes) in parts.into_iter().filter_map(|(part, bytes)| Some((part, bytes?))) {
        text.sample("diag_resident_bytes", &[("part", part)], bytes as f64);
    }
    text.sample("diag_resident_bytes", &[("part", "unaccounted")], split.unaccounted_bytes as f64);
}

/// What the system says of the process, by the names that Prometheus' own client libraries have for it.
fn process(text: &mut Text<'_>, analysis: &Analysis) {
    let snapshot = analysis.snapshot();
    let resources = &snapshot.capture.resources;
    if let Some((user_ns, system_ns)) = resources.cpu_user_ns.zip(resources.cpu_system_ns) {
        text.counter("process_cpu_seconds", "seconds", "CPU time since start, user and system.");
        text.total("process_cpu_seconds", &[], user_ns.saturating_add(system_ns) as f64 / 1e9);
    }
    if let Some(bytes) = resources.rss_bytes {
        text.gauge("process_resident_memory_bytes", "bytes", "Resident memory.");
        text.sample("process_resident_memory_bytes", &[], bytes as f64);
    }
    if let Some(open) = resources.open_fds {
        text.gauge("process_open_fds", "", "Open file descriptors.");
        text.sample("process_open_fds", &[], open as f64);
    }
    if let Some(limit) = resources.open_fds_limit {
        text.gauge("process_max_fds", "", "How many file descriptors may be open.");
        text.sample("process_max_fds", &[], limit as f64);
    }
    if snapshot.process.started_unix_us > 0 {
        text.gauge("process_start_time_seconds", "seconds", "Start of the process, since the Unix epoch.");
        text.sample("process_start_time_seconds", &[], snapshot.process.started_unix_us as f64 / 1e6);
    }
    if let Some(limit) = analysis.memory_limit_view() {
        text.gauge("diag_memory_limit_bytes", "bytes", "Memory that the control group may use.");
        text.sample("diag_memory_limit_bytes", &[], limit.limit_bytes as f64);
        if let Some(bytes) = limit.working_set_bytes {
            let help = "Memory that the control group uses, without reclaimable file cache.";
            text.gauge("diag_memory_limit_working_set_bytes", "bytes", help);
            text.sample("diag_memory_limit_working_set_bytes", &[], bytes as f64);
        }
    }
}

/// What the recorder says of itself.
fn own(text: &mut Text<'_>, snapshot: &Snapshot) {
    let capture = &snapshot.capture;
    text.gauge("diag_capture_seconds", "seconds", "Time that this capture took.");
    let took_us = capture.to_us.saturating_sub(capture.from_us);
    text.sample("diag_capture_seconds", &[], took_us as f64 / 1e6);

    text.counter("diag_dropped", "", "What was not recorded since start, by what.");
    for (what, count) in &capture.dropped {
        text.total("diag_dropped", &[("what", what)], *count as f64);
    }
}
