//! Snapshots of any content, for property tests.

use diag_snapshot::schema::{Coding, Target};
use diag_snapshot::{
    AddressSpace, AllocatorStats, Capture, Cause, CgroupMemory, Child, DescriptorTarget, ExpectedRatio,
    Gauge, Heap, HeapFacts, ParkedFacts, Part, PartState, Pressure, Process, Resident, Resources, Row,
    Runtime, Setting, SettingSource, Snapshot, Stacks, Strings, Sweep, SweepMode, Table,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// How many rows there are to point to.
#[derive(Clone, Copy)]
struct Sizes {
    strings: usize,
    sites: usize,
    resource_sites: usize,
    group_sites: usize,
    modules: usize,
    frames: usize,
    stacks: usize,
}

impl Sizes {
    fn of(self, target: Target) -> u64 {
        let size = match target {
            Target::Strings => self.strings,
            Target::Sites => self.sites,
            Target::ResourceSites => self.resource_sites,
            Target::GroupSites => self.group_sites,
            Target::Stacks => self.stacks,
            Target::Frames => self.frames,
            Target::Modules => self.modules,
        };
        size as u64
    }
}

/// Small, large, and at every limit.
fn cell() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..5, any::<u32>().prop_map(u64::from), any::<u64>(), Just(u64::MAX), Just(u64::MAX - 1)]
}

/// Any table whose indices point somewhere and whose key ascends.
fn table<R: Row>(rows: usize, sizes: Sizes) -> impl Strategy<Value = Table<R>> {
    vec(vec(cell(), R::TABLE.columns.len()), rows).prop_map(move |rows| {
        let mut keys = 0;
        let rows = rows.into_iter().enumerate().map(|(i, wild)| {
            let mut columns = wild.into_iter().zip(R::TABLE.columns);
            R::from_cells(|| {
                let (wild, spec) = columns.next().expect("a cell for each column");
                let absent = u64::from(spec.optional);
                match spec.target {
                    Some(target) if target.table() == R::TABLE.name => wild % (i as u64 + absent),
                    Some(target) => wild % (sizes.of(target) + absent),
                    None if spec.coding == Coding::Ascending => {
                        keys += 1 + wild % (1 << 50);
                        keys
                    }
                    None => wild,
                }
            })
        });
        rows.collect()
    })
}

fn process() -> impl Strategy<Value = Process> {
    let text = || option::of(any::<String>());
    let attributes = btree_map(any::<String>(), any::<String>(), 0..4);
    (any::<(String, u64, u32, bool, u64)>(), text(), text(), text(), any::<(String, String)>(), attributes)
        .prop_map(
            |(
                (service, instance, pid, debug_build, started_unix_us),
                host,
                exe,
                build_id,
                (target, diag_version),
                resource_attributes,
            )| {
                Process {
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
                }
            },
        )
}

fn capture() -> impl Strategy<Value = Capture> {
    let runtime = any::<(String, u64, Option<u64>, Option<u64>, Vec<u64>)>().prop_map(
        |(name, workers, alive_tasks, queued_tasks, busy_by_worker_ns)| Runtime {
            name,
            workers,
            alive_tasks,
            queued_tasks,
            parks_by_worker: busy_by_worker_ns.iter().rev().copied().collect(),
            busy_by_worker_ns,
        },
    );
    let ratio = any::<(String, String, u64, u64)>().prop_map(|(tasks, gauge, ratio_ppm, tolerance_ppm)| {
        ExpectedRatio { tasks, gauge, ratio_ppm, tolerance_ppm }
    });
    let gauge = any::<(String, i64)>().prop_map(|(name, value)| Gauge { name, value });
    let resident = any::<([u64; 4], [Option<u64>; 3])>().prop_map(
        |([rss_bytes, files_bytes, stacks_bytes, diag_bytes], [anonymous_bytes, swapped_bytes, mappings])| {
            Resident {
                rss_bytes,
                files_bytes,
                stacks_bytes,
                diag_bytes,
                anonymous_bytes,
                swapped_bytes,
                mappings,
            }
        },
    );
    let allocator = any::<(String, u64, u64)>().prop_map(|(name, in_use_bytes, held_bytes)| AllocatorStats {
        name,
        in_use_bytes,
        held_bytes,
    });
    let space = any::<(u64, Option<u64>, u64, Option<u64>, Option<u64>)>().prop_map(
        |(taken_bytes, limit_bytes, refused, tasks, samples)| AddressSpace {
            taken_bytes,
            limit_bytes,
            refused,
            tasks,
            samples,
        },
    );
    let cgroup = any::<([Option<u64>; 3], String)>().prop_map(
        |([limit_bytes, used_bytes, inactive_file_bytes], folder)| CgroupMemory {
            limit_bytes,
            used_bytes,
            inactive_file_bytes,
            folder,
        },
    );
    let numbers = any::<[Option<u64>; 9]>();
    let memory = (option::of(cgroup), option::of(resident), option::of(allocator));
    let target = any::<(String, u64, String)>().prop_map(|(target, open, source)| DescriptorTarget {
        target,
        open,
        source,
    });
    let child = any::<(u32, String, bool, String)>().prop_map(|(pid, name, has_ended, source)| Child {
        pid,
        name,
        has_ended,
        source,
    });
    let pressure = any::<(String, u64, String, u64, Option<u64>)>().prop_map(
        |(of, some_us, source, some_ppm, full_ppm)| Pressure { of, some_ppm, some_us, full_ppm, source },
    );
    let around = (vec(target, 0..3), any::<u64>(), option::of(vec(child, 0..3)), vec(pressure, 0..3));
    let parts = (numbers, option::of(space), memory, around);
    let resources = parts.prop_map(
        |(
            [
                rss_bytes,
                threads,
                cpu_user_ns,
                cpu_system_ns,
                open_fds,
                open_fds_limit,
                diag_bytes,
                throttled_us,
                throttled_periods,
            ],
            address_space,
            (cgroup_memory, resident, allocator),
            (descriptor_targets, other_targets, children, pressure),
        )| {
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
                cgroup_memory,
                resident,
                allocator,
                descriptor_targets,
                other_targets,
                child_processes: children.as_ref().map(|children| children.len() as u64),
                children,
                pressure,
            }
        },
    );
    let parked =
        any::<[u64; 6]>().prop_map(|[asked, answered, timed_out, stacks_dropped, per_group, spent_us]| {
            let some = ParkedFacts {
                passive: asked % 2 == 0,
                taken: answered,
                walked: timed_out,
                ..Default::default()
            };
            ParkedFacts {
                asked,
                answered,
                timed_out,
                stacks_dropped,
                per_group,
                spent_us,
                without_budget: asked,
                ..some
            }
        });
    let dropped =
        (btree_map(any::<String>(), any::<u64>(), 0..4), btree_map(any::<String>(), any::<String>(), 0..4));
    let times = any::<(u64, u64, u64, u32, Option<u64>, u64)>();
    let said = (vec(gauge, 0..3), vec(ratio, 0..3));
    let cause = any::<([String; 2], [Option<u64>; 5])>().prop_map(|([trigger, source], numbers)| {
        let [used_bytes, limit_bytes, gap_bytes, bytes_per_second, limit_in_ms] = numbers;
        Cause { trigger, source, used_bytes, limit_bytes, gap_bytes, bytes_per_second, limit_in_ms }
    });
    let sweep = any::<([u64; 7], u32, Option<String>)>().prop_map(|(numbers, passes, why)| {
        let [taken_us, took_us, blocks, looked_at_bytes, unread_bytes, rows_dropped, threads_running] =
            numbers;
        let mode = if passes % 2 == 0 { SweepMode::Normal } else { SweepMode::Full };
        Sweep {
            mode,
            taken_us,
            took_us,
            passes,
            blocks,
            looked_at_bytes,
            unread_bytes,
            rows_dropped,
            tasks_without_memory: blocks / 2,
            threads_running,
            why,
        }
    });
    let setting = any::<(String, String)>().prop_map(|(variable, value)| Setting {
        variable,
        value,
        from: SettingSource::Environment,
    });
    let part = any::<(String, Option<String>)>().prop_map(|(name, why)| Part {
        name,
        state: if why.is_some() { PartState::Failed } else { PartState::Works },
        why,
    });
    let recorder =
        ((option::of(parked), option::of(cause), option::of(sweep)), vec(setting, 0..3), vec(part, 0..3));
    (times, vec(runtime, 0..3), said, resources, dropped, recorder).prop_map(
        |(
            times,
            runtimes,
            said,
            resources,
            (dropped, dropped_sentences),
            ((parked, cause, sweep), settings, parts),
        )| {
            let (gauges, expected_ratios) = said;
            let (from_us, to_us, came_or_went, timing_one_in, tracked_tasks, tracked_churn) = times;
            Capture {
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
                cause,
                sweep,
                settings,
                parts,
            }
        },
    )
}

fn stacks(sizes: Sizes, rows: usize) -> impl Strategy<Value = Stacks> {
    let stacks = table(sizes.stacks, sizes);
    let frames = table(sizes.frames, sizes);
    (stacks, frames, table(rows, sizes), table(sizes.modules, sizes))
        .prop_map(|(stacks, frames, names, modules)| Stacks { stacks, frames, names, modules })
}

fn heap(sizes: Sizes, rows: usize) -> impl Strategy<Value = Heap> {
    let facts = any::<(u64, u64, u64, String)>().prop_map(|(rate_bytes, next_birth, refused, unwinder)| {
        HeapFacts { rate_bytes, next_birth, refused, unwinder }
    });
    let stacks = (table(rows, sizes), table(rows, sizes));
    let sites = (table(rows, sizes), table(rows, sizes));
    (facts, table(rows, sizes), stacks, sites).prop_map(
        |(facts, samples, (stack_totals, stack_ages), (site_totals, site_ages))| Heap {
            facts,
            samples,
            stack_totals,
            stack_ages,
            site_totals,
            site_ages,
        },
    )
}

/// Everything that points to sites, tasks or stacks.
fn tables(sizes: Sizes, rows: usize) -> impl Strategy<Value = Snapshot> {
    let sites = (table(sizes.sites, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes));
    let tasks = (table(rows, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes));
    let threads = (table(rows, sizes), table(rows, sizes), table(rows, sizes));
    let system = (table(rows, sizes), table(rows, sizes), table(rows, sizes));
    let resources = (table(sizes.resource_sites, sizes), table(rows, sizes), table(rows, sizes));
    let groups =
        (table(sizes.group_sites, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes));
    let holders = (table(rows, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes));
    (
        sites,
        tasks,
        threads,
        (system, resources, groups, holders),
        stacks(sizes, rows),
        option::of(heap(sizes, rows)),
    )
        .prop_map(
            |(
                (sites, lifetimes, poll_times, poll_delays),
                (tasks, ends, zombies, parked),
                (labels, threads, thread_cpu),
                (
                    (cpu_samples, mapped_files, descriptors),
                    (resource_sites, resources, resource_ages),
                    (group_sites, groups, members, cancel_latencies),
                    (blocks, statics, waits, points),
                ),
                stacks,
                heap,
            )| {
                Snapshot {
                    sites,
                    lifetimes,
                    poll_times,
                    poll_delays,
                    tasks,
                    ends,
                    zombies,
                    parked,
                    labels,
                    threads,
                    thread_cpu,
                    cpu_samples,
                    mapped_files,
                    descriptors,
                    resource_sites,
                    resources,
                    resource_ages,
                    group_sites,
                    groups,
                    members,
                    cancel_latencies,
                    blocks,
                    statics,
                    waits,
                    points,
                    stacks,
                    heap,
                    ..Snapshot::default()
                }
            },
        )
}

/// Any snapshot that a file can hold.
pub fn snapshot() -> impl Strategy<Value = Snapshot> {
    (vec(any::<String>(), 1..5), 1usize..5, 1usize..4, 1usize..9, 1usize..9, 0usize..40).prop_flat_map(
        |(names, sites, modules, frames, stacks, rows)| {
            let mut strings = Strings::default();
            for name in &names {
                strings.intern(name);
            }
            let sizes = Sizes {
                strings: strings.len(),
                sites,
                resource_sites: sites,
                group_sites: sites,
                modules,
                frames,
                stacks,
            };
            (process(), capture(), Just(strings), tables(sizes, rows)).prop_map(
                |(process, capture, strings, tables)| Snapshot { process, capture, strings, ..tables },
            )
        },
    )
}
