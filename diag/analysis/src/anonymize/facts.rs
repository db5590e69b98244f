//! The facts of a snapshot without the service's words.

use std::collections::BTreeMap;

use diag_snapshot::{
    AllocatorStats, Capture, Cause, CgroupMemory, Child, DescriptorTarget, ExpectedRatio, Gauge, HeapFacts,
    Part, Pressure, Process, Resources, Runtime, Setting, Sweep,
};

use super::names::rename;
use super::paths::rename_path;
use super::words::{self, Key, sentence};

pub(super) fn process(process: Process, key: &Key) -> Process {
    let Process {
        service,
        instance,
        pid,
        host,
        exe,
        build_id,
        target,
        diag_version,
        debug_build,
        started_unix_us,
        resource_attributes,
    } = process;
    Process {
        service: key.word(&service),
        instance: key.instance(instance),
        pid,
        host: host.map(|host| key.word(&host)),
        exe: exe.map(|exe| rename_path(&exe, key)),
        build_id: build_id.map(|id| key.hex(&id)),
        target,
        diag_version,
        debug_build,
        started_unix_us,
        resource_attributes: resource_attributes
            .into_iter()
            .map(|(attribute, value)| (key.text(&attribute), key.text(&value)))
            .collect(),
    }
}

pub(super) fn capture(capture: Capture, key: &Key) -> Capture {
    let Capture {
        from_us,
        to_us,
        came_or_went,
        timing_one_in,
        runtimes,
        tracked_tasks,
        tracked_churn,
        gauges,
        expected_ratios,
        resources,
        dropped,
        dropped_sentences,
        parked,
        settings,
        parts,
        cause,
        sweep,
    } = capture;
    let runtimes =
        runtimes.into_iter().map(|runtime| Runtime { name: key.text(&runtime.name), ..runtime }).collect();
    let gauges = gauges.into_iter().map(|gauge| Gauge { name: key.text(&gauge.name), ..gauge }).collect();
    let ratio = |ratio: ExpectedRatio| ExpectedRatio {
        tasks: tasks(&ratio.tasks, key),
        gauge: key.text(&ratio.gauge),
        ..ratio
    };
    let sentences = dropped_sentences.into_iter();
    Capture {
        from_us,
        to_us,
        came_or_went,
        timing_one_in,
        runtimes,
        tracked_tasks,
        tracked_churn,
        gauges,
        expected_ratios: expected_ratios.into_iter().map(ratio).collect(),
        resources: of_system(resources, key),
        dropped: dropped.into_iter().map(|(what, times)| (sentence(&what, key), times)).collect(),
        dropped_sentences: sentences
            .map(|(what, said)| (sentence(&what, key), sentence(&said, key)))
            .collect::<BTreeMap<_, _>>(),
        parked,
        settings: settings.into_iter().map(|known| setting(known, key)).collect(),
        parts: parts
            .into_iter()
            .map(|Part { name, state, why }| Part { name, state, why: why.map(|why| sentence(&why, key)) })
            .collect(),
        sweep: sweep.map(|sweep| Sweep { why: sweep.why.map(|why| sentence(&why, key)), ..sweep }),
        cause: cause.map(|cause| Cause { source: source(&cause.source, key), ..cause }),
    }
}

/// What a snapshot was taken for: a file, a place, or in words.
fn source(text: &str, key: &Key) -> String {
    match text {
        place if place.contains(".rs") => tasks(place, key),
        path if path.contains('/') => rename_path(path, key),
        words => sentence(words, key),
    }
}

/// Tasks of a ratio are a place or a name.
fn tasks(text: &str, key: &Key) -> String {
    match text.split_once(".rs") {
        Some((file, position)) => rename_path(&format!("{file}.rs"), key) + position,
        None => rename(text, None, key),
    }
}

fn setting(Setting { variable, value, from }: Setting, key: &Key) -> Setting {
    let value = match variable.as_str() {
        _ if ["none", "off", "on", "set"].contains(&value.as_str()) => value,
        "DIAG_ADDR" => words::address(&value, key),
        "DIAG_DIR" => rename_path(&value, key),
        "DIAG_LABELS" => "set".to_owned(),
        "DIAG" | "DIAG_LAST" | "DIAG_TOKEN" | "DIAG_OPEN" | "DIAG_EVERY" | "DIAG_KEEP" | "DIAG_HEAP"
        | "DIAG_HEAP_RATE" | "DIAG_CENSUS" | "DIAG_PARKED" | "DIAG_SIGNAL" | "DIAG_TIMING" => value,
        _ => key.text(&value),
    };
    Setting { variable, value, from }
}

pub(super) fn heap(facts: HeapFacts, _: &Key) -> HeapFacts {
    // The way of taking stacks is diag's own word.
    let HeapFacts { rate_bytes, next_birth, refused, unwinder } = facts;
    HeapFacts { rate_bytes, next_birth, refused, unwinder }
}

fn of_system(resources: Resources, key: &Key) -> Resources {
    let Resources {
        rss_bytes,
        threads,
        cpu_user_ns,
        cpu_system_ns,
        open_fds,
        open_fds_limit,
        diag_bytes,
        address_space,
        throttled_us,
        throttled_periods,
        cgroup_memory,
        resident,
        allocator,
        descriptor_targets,
        other_targets,
        child_processes,
        children,
        pressure,
    } = resources;
    let target = |known: DescriptorTarget| DescriptorTarget {
        target: if known.target.contains('/') {
            rename_path(&known.target, key)
        } else {
            kind(&known.target, key)
        },
        source: rename_path(&known.source, key),
        ..known
    };
    let child = |child: Child| Child {
        name: key.text(&child.name),
        source: rename_path(&child.source, key),
        ..child
    };
    Resources {
        rss_bytes,
        threads,
        cpu_user_ns,
        cpu_system_ns,
        open_fds,
        open_fds_limit,
        diag_bytes,
        address_space,
        throttled_us,
        throttled_periods,
        cgroup_memory: cgroup_memory
            .map(|group| CgroupMemory { folder: rename_path(&group.folder, key), ..group }),
        resident,
        allocator: allocator.map(|stats| AllocatorStats { name: allocator_name(&stats.name, key), ..stats }),
        descriptor_targets: descriptor_targets.into_iter().map(target).collect(),
        other_targets,
        child_processes,
        children: children.map(|children| children.into_iter().map(child).collect()),
        pressure: pressure
            .into_iter()
            .map(|known| Pressure { source: rename_path(&known.source, key), ..known })
            .collect(),
    }
}

fn allocator_name(name: &str, key: &Key) -> String {
    const KNOWN: [&str; 6] = ["glibc malloc", "jemalloc", "mimalloc", "tcmalloc", "snmalloc", "musl malloc"];
    if KNOWN.contains(&name) { name.to_owned() } else { key.text(name) }
}

/// `tcp established`, `pipe`: the kernel's words, and nobody else's.
fn kind(target: &str, key: &Key) -> String {
    const WORDS: &[&str] = &[
        "tcp",
        "tcp6",
        "udp",
        "udp6",
        "unix",
        "raw",
        "socket",
        "pipe",
        "eventfd",
        "eventpoll",
        "timerfd",
        "inotify",
        "signalfd",
        "memfd",
        "other",
        "netlink",
        "packet",
        "pidfd",
        "established",
        "listen",
        "close-wait",
        "closing",
        "closed",
        "syn-sent",
        "connected",
        "unconnected",
        "stream",
        "dgram",
        "seqpacket",
        "and",
        "of",
        "in",
        "a",
        "no",
    ];
    let words = target.split(' ').map(|word| {
        let is_known = WORDS.contains(&word);
        if is_known { word.to_owned() } else { key.text(word) }
    });
    words.collect::<Vec<_>>().join(" ")
}
