//! Which process this is, when it was taken, and what could be seen of it.

use super::number_of;
use crate::Analysis;
use crate::coverage::tracked_besides;
use crate::human::{self, bytes, count, duration_us, name};
use diag_snapshot::{AddressSpace, Cause, Heap, ParkedFacts, Snapshot};

pub(super) fn header(analysis: &Analysis) -> String {
    let snapshot = analysis.snapshot();
    let (process, capture) = (&snapshot.process, &snapshot.capture);
    let host = process.host.as_deref().map(|host| format!(" on {}", name(host))).unwrap_or_default();
    let build = if process.debug_build { ", debug build" } else { "" };
    let mut text = format!(
        "{}, pid {}{host}, up {}{build}\ntaken {} in {}, {} spawned or ended meanwhile\n",
        name(&process.service),
        process.pid,
        duration_us(capture.to_us),
        human::time(snapshot.taken_unix_us()),
        duration_us(capture.to_us.saturating_sub(capture.from_us)),
        number_of("task", capture.came_or_went),
    );
    text += &capture.cause.as_ref().map(cause).unwrap_or_default();
    text += &analysis.memory().map(|split| split.sentence() + "\n").unwrap_or_default();
    text += &analysis.memory_limit_view().map(|limit| limit.sentence() + "\n").unwrap_or_default();
    text += &analysis.cpu_view().map(|cpu| cpu.sentence() + "\n").unwrap_or_default();
    text += &resources(analysis);
    text += &analysis.snapshot().heap.as_ref().map(heap).unwrap_or_default();
    text += &coverage(snapshot);
    text += &capture.parked.as_ref().map(parked).unwrap_or_default();
    text
}

/// What it was taken for.
fn cause(cause: &Cause) -> String {
    let mut text = format!("taken for: {} ({})", name(&cause.trigger), name(&cause.source));
    if let (Some(used), Some(limit), Some(gap)) = (cause.used_bytes, cause.limit_bytes, cause.gap_bytes) {
        text += &format!(", {} of {} used, {} left", bytes(used), bytes(limit), bytes(gap));
    }
    if let (Some(rate), Some(ms)) = (cause.bytes_per_second, cause.limit_in_ms) {
        let left = duration_us(ms.saturating_mul(1_000));
        text += &format!(", {} a second: none left in {left}", bytes(rate));
    }
    text + "\n"
}

fn resources(analysis: &Analysis) -> String {
    let resources = &analysis.snapshot().capture.resources;
    let facts = [
        resources.diag_bytes.map(|own| format!("diag has mapped {} for itself", bytes(own))),
        resources.address_space.as_ref().and_then(address_space),
        resources.threads.map(|threads| format!("{} threads", count(threads))),
        analysis.descriptors_view().map(|descriptors| descriptors.sentence()),
        resources
            .throttled_us
            .filter(|&us| us > 0)
            .map(|us| format!("kept off the CPUs by its cgroup for {} since start", duration_us(us))),
    ];
    let known: Vec<String> = facts.into_iter().flatten().collect();
    if known.is_empty() { String::new() } else { known.join(", ") + "\n" }
}

/// What a limit on address space leaves of the recorder; nothing if there is none and nothing was refused.
fn address_space(space: &AddressSpace) -> Option<String> {
    let limit = space.limit_bytes.map(|limit| {
        let most =
            [space.tasks.map(|tasks| (tasks, "tasks")), space.samples.map(|samples| (samples, "samples"))];
        let most = most.into_iter().flatten().map(|(most, what)| format!(", at most {} {what}", count(most)));
        let taken = bytes(space.taken_bytes);
        let most: String = most.collect();
        format!("of {} of address space that a limit leaves it {taken} are taken{most}", bytes(limit))
    });
    let refused = (space.refused > 0).then(|| format!("{} refused", number_of("mapping", space.refused)));
    let said: Vec<String> = limit.into_iter().chain(refused).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn heap(heap: &Heap) -> String {
    format!(
        "heap about {} live, estimated from {} samples, one in {}\n",
        bytes(heap.live_bytes() as u64),
        count(heap.samples.len() as u64),
        bytes(heap.facts.rate_bytes)
    )
}

/// Tasks that we follow beside the number that tokio counts: the difference is not in this text.
fn coverage(snapshot: &Snapshot) -> String {
    let besides = tracked_besides(snapshot);
    let besides: Vec<String> = besides.iter().map(|(kind, &tasks)| number_of(kind.as_str(), tasks)).collect();
    let besides = if besides.is_empty() { String::new() } else { format!(", and {}", besides.join(", ")) };
    let mut text = format!("{} tracked{besides}\n", number_of("task", snapshot.tracked_tasks()));
    for runtime in &snapshot.capture.runtimes {
        let alive = match runtime.alive_tasks {
            Some(alive) => format!("tokio counts {} tasks", count(alive)),
            None => "tokio's count of tasks is unknown".to_owned(),
        };
        text += &format!("runtime {}: {alive}, {} workers\n", name(&runtime.name), count(runtime.workers));
    }
    text
}

/// How it is known where tasks are parked.
fn parked(facts: &ParkedFacts) -> String {
    let mut text = String::new();
    if facts.passive {
        let dropped = match facts.stacks_dropped {
            0 => String::new(),
            dropped => format!(", {} found no room", number_of("stack", dropped)),
        };
        let without = match facts.without_budget {
            0 => String::new(),
            polls => format!(", {} left none for want of budget", number_of("first or late poll", polls)),
        };
        text += &format!(
            "where tasks wait is known from {} that their own polls left{dropped}{without}\n",
            number_of("stack", facts.taken)
        );
        if facts.asked == 0 {
            return text;
        }
    }
    let late = match facts.timed_out {
        0 => String::new(),
        late => format!(", {} did not in time", count(late)),
    };
    text += &format!(
        "asked {} where they wait, up to {} of each site and state: {} answered{late}\n",
        number_of("task", facts.asked),
        count(facts.per_group),
        count(facts.answered),
    );
    text
}
