//! What is written is what is read, whatever the values are.

mod support;

use std::collections::BTreeMap;

use diag_snapshot::table::{Coding, Target};
use diag_snapshot::{
    AddressSpace, AllocatorStats, Capture, Gauge, Heap, HeapFacts, ParkedFacts, Process, Resident, Resources,
    Row, Runtime, SiteIndex, Snapshot, Stacks, Strings, Table, TaskId, TaskRow, read, write,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// How many rows there are to point to.
#[derive(Clone, Copy)]
struct Sizes {
    strings: usize,
    sites: usize,
    modules: usize,
    frames: usize,
    stacks: usize,
}

impl Sizes {
    fn of(self, target: Target) -> u64 {
        let size = match target {
            Target::Strings => self.strings,
            Target::Sites => self.sites,
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
fn table<R: Row + std::fmt::Debug>(rows: usize, sizes: Sizes) -> impl Strategy<Value = Table<R>> {
    vec(vec(cell(), R::COLUMNS.len()), rows).prop_map(move |rows| {
        let mut keys = 0;
        let rows = rows.into_iter().enumerate().map(|(i, wild)| {
            let mut cells = R::Cells::default();
            for ((cell, wild), spec) in cells.as_mut().iter_mut().zip(wild).zip(R::COLUMNS) {
                let absent = u64::from(spec.optional);
                *cell = match spec.target {
                    Some(target) if target.table() == R::TABLE => wild % (i as u64 + absent),
                    Some(target) => wild % (sizes.of(target) + absent),
                    None if spec.coding == Coding::Ascending => {
                        keys += 1 + wild % (1 << 50);
                        keys
                    }
                    None => wild,
                };
            }
            R::from_cells(&cells)
        });
        rows.collect()
    })
}

fn process() -> impl Strategy<Value = Process> {
    let text = || option::of(any::<String>());
    let labels = btree_map(any::<String>(), any::<String>(), 0..4);
    (any::<(String, u64, u32, bool, u64)>(), text(), text(), text(), any::<(String, String)>(), labels)
        .prop_map(
            |(
                (service, instance, pid, debug_build, started_unix_us),
                host,
                exe,
                build_id,
                (target, diag_version),
                labels,
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
                    labels,
                }
            },
        )
}

fn capture() -> impl Strategy<Value = Capture> {
    let runtime = any::<(String, u64, Option<u64>)>().prop_map(|(name, workers, alive_tasks)| Runtime {
        name,
        workers,
        alive_tasks,
    });
    let gauge = any::<(String, i64)>().prop_map(|(name, value)| Gauge { name, value });
    let resident = any::<[u64; 4]>().prop_map(|[rss_bytes, files_bytes, stacks_bytes, diag_bytes]| {
        Resident { rss_bytes, files_bytes, stacks_bytes, diag_bytes }
    });
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
    let numbers = any::<[Option<u64>; 6]>();
    let parts = (numbers, option::of(space), option::of(resident), option::of(allocator));
    let resources = parts.prop_map(
        |(
            [rss_bytes, threads, open_fds, diag_bytes, throttled_us, throttled_periods],
            address_space,
            resident,
            allocator,
        )| {
            Resources {
                rss_bytes,
                threads,
                open_fds,
                diag_bytes,
                address_space,
                throttled_us,
                throttled_periods,
                resident,
                allocator,
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
    (times, vec(runtime, 0..3), vec(gauge, 0..3), resources, dropped, option::of(parked)).prop_map(
        |(times, runtimes, gauges, resources, (dropped, dropped_sentences), parked)| {
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
                resources,
                dropped,
                dropped_sentences,
                parked,
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
    let tasks =
        (table(rows, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes), table(rows, sizes));
    (sites, tasks, stacks(sizes, rows), option::of(heap(sizes, rows))).prop_map(
        |(
            (sites, lifetimes, poll_times, poll_delays),
            (tasks, ends, zombies, parked, threads),
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
                threads,
                stacks,
                heap,
                ..Snapshot::default()
            }
        },
    )
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (vec(any::<String>(), 1..5), 1usize..5, 1usize..4, 1usize..9, 1usize..9, 0usize..40).prop_flat_map(
        |(names, sites, modules, frames, stacks, rows)| {
            let mut strings = Strings::default();
            for name in &names {
                strings.intern(name);
            }
            let sizes = Sizes { strings: strings.len(), sites, modules, frames, stacks };
            (process(), capture(), Just(strings), tables(sizes, rows)).prop_map(
                |(process, capture, strings, tables)| Snapshot { process, capture, strings, ..tables },
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_snapshot_is_read_as_it_was_written(snapshot in snapshot()) {
        prop_assert_eq!(read(&write(&snapshot)), Ok((snapshot, vec![])));
    }

    #[test]
    fn any_snapshot_can_be_dumped(snapshot in snapshot()) {
        let text = diag_snapshot::dump::dump(&snapshot);
        prop_assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text}");
    }
}

#[test]
fn an_empty_snapshot_is_read_as_it_was_written() {
    let empty = Snapshot::default();
    assert_eq!(read(&write(&empty)), Ok((empty, vec![])));
}

#[test]
fn a_realistic_snapshot_is_read_as_it_was_written() {
    let service = support::service(3_000, 1_000);
    assert_eq!(read(&write(&service)), Ok((service, vec![])));
}

#[test]
fn tasks_are_written_in_order_and_once_and_the_rest_is_counted() {
    let ordered = support::service(5, 0);
    let tasks: Vec<TaskRow> = ordered.tasks.iter().collect();
    let twin = TaskRow { polls: 99_999, ..tasks[2] };
    let jumbled = [tasks[4], tasks[2], tasks[0], tasks[1], twin, tasks[3], tasks[0]];
    let file = write(&Snapshot { tasks: jumbled.into_iter().collect(), ..ordered.clone() });
    let (read, damage) = read(&file).expect("the file is whole");
    assert_eq!((read.tasks, damage), (ordered.tasks, vec![]));
    let mut counted = BTreeMap::from([("duplicate tasks".to_owned(), 2)]);
    counted.extend(ordered.capture.dropped);
    assert_eq!(read.capture.dropped, counted);
}

#[test]
fn every_section_name_fits_and_every_table_can_be_counted() {
    fn check<R: Row>() {
        assert!(R::TABLE.len() <= 16 && R::TABLE.is_ascii(), "{}", R::TABLE);
        assert!(R::COLUMNS.iter().any(|column| !column.optional), "{} bounds no row count", R::TABLE);
        let keys = R::COLUMNS.iter().filter(|column| column.coding == Coding::Ascending).count();
        assert!(keys <= 1, "{} has two orders", R::TABLE);
    }
    check::<TaskRow>();
    check::<diag_snapshot::SiteRow>();
    check::<diag_snapshot::LifetimeRow>();
    check::<diag_snapshot::PollTimeRow>();
    check::<diag_snapshot::PollDelayRow>();
    check::<diag_snapshot::ZombieRow>();
    check::<diag_snapshot::ParkedRow>();
    check::<diag_snapshot::ThreadRow>();
    check::<diag_snapshot::EndRow>();
    check::<diag_snapshot::SampleRow>();
    check::<diag_snapshot::StackRow>();
    check::<diag_snapshot::FrameRow>();
    check::<diag_snapshot::NameRow>();
    check::<diag_snapshot::ModuleRow>();
}

#[test]
fn what_is_absent_in_every_row_takes_no_column() {
    let plain: Table<TaskRow> = (0..3).map(|id| TaskRow::new(TaskId(id), SiteIndex(0), 9)).collect();
    let filled = TaskRow::COLUMNS.iter().zip(plain.columns()).filter(|(_, values)| !values.is_empty());
    assert!(filled.clone().all(|(column, _)| !column.optional));
    let tasks = Snapshot { tasks: plain, ..support::service(3, 0) };
    let (read, damage) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!((read.tasks, damage), (tasks.tasks, vec![]));
}

#[test]
fn times_are_those_of_the_rows() {
    let tasks = support::service(500, 0).tasks;
    assert!(tasks.times().eq(tasks.iter().map(|task| task.times())));
    assert!(tasks.times().all(|task| Some(task.last_progress_us()) == task.last_poll_us));
}

#[test]
fn a_task_keeps_what_is_absent_absent() {
    let task = TaskRow::new(TaskId(7), SiteIndex(0), 9);
    let zero = TaskRow {
        tokio_id: Some(0),
        last_poll_us: Some(0),
        wakers: Some(0),
        lost: Some(0),
        ..TaskRow::new(TaskId(8), SiteIndex(0), 9)
    };
    let last = TaskRow { id: TaskId(9), ..task };
    let rows = [task, zero, last];
    let tasks = Snapshot { tasks: rows.into_iter().collect(), ..support::service(1, 0) };
    let (read, _) = read(&write(&tasks)).expect("the file is whole");
    assert_eq!(read.tasks.iter().collect::<Vec<_>>(), rows);
}
