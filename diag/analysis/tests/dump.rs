//! The text of a snapshot in which something of everything is wrong, made by hand.
//!
//! `DIAG_BLESS=1` rewrites the texts in `testdata/snapshots`: read `dump.txt` as somebody would at 3 a.m.

use std::path::{Path, PathBuf};

use diag_analysis::dump::dump;
use diag_snapshot::{
    CancelBy, EndRow, LabelRow, Outcome, ParkedFacts, ParkedRow, Process, Runtime, SiteIndex, SiteKind,
    SiteRow, Snapshot, StackIndex, TaskId, TaskRow, TaskState, ThreadRow, ZombieRow, file,
};
use diag_test_support::call_stack::call_stack;
use diag_test_support::golden::assert_golden;

const MINUTE: u64 = 60_000_000;
const NOW: u64 = 90 * MINUTE;

/// A snapshot that grows by sites, stacks and tasks.
#[derive(Default)]
struct Shop(Snapshot);

impl Shop {
    fn site(&mut self, name: &str, line: u32, kind: SiteKind) -> SiteIndex {
        let (file, name) = (self.0.strings.intern("src/shop.rs"), self.0.strings.intern(name));
        self.0.sites.push(SiteRow {
            kind: Some(kind),
            file,
            line,
            column: 5,
            type_name: name,
            future_bytes: 128,
            ..SiteRow::default()
        });
        SiteIndex(self.0.sites.len() as u32 - 1)
    }

    /// A stack of functions with their files and lines, innermost first.
    fn stack(&mut self, functions: &[(&str, &str, u32)]) -> StackIndex {
        let calls = functions.iter().map(|&(function, file, line)| (function, Some((file, line))));
        call_stack(&mut self.0, calls)
    }

    fn receive(&mut self, line: u32) -> StackIndex {
        let chan =
            ("tokio::sync::mpsc::chan::recv<u8>", "/registry/src/i/tokio-1.54.1/src/sync/mpsc/chan.rs", 340);
        let own = |function, line| (function, "src/orders.rs", line);
        // Of what is inlined there may be no more of a name.
        let awaiting = [own("{async_block#0}", 200), own("shop::serve::{async_fn#0}", 210)];
        self.stack(&[&[chan, own("shop::{async_fn#0}", line)], &awaiting[..]].concat())
    }

    fn sleep(&mut self, line: u32) -> StackIndex {
        let sleep = ("tokio::time::sleep::poll", "/registry/src/i/tokio-1.54.1/src/time/sleep.rs", 457);
        self.stack(&[sleep, ("shop::{async_fn#0}", "src/orders.rs", line)])
    }

    /// An idle task that was spawned and polled so many minutes ago.
    fn idle(&mut self, site: SiteIndex, minutes: u64) -> TaskRow {
        let at_us = NOW - minutes * MINUTE;
        TaskRow {
            tokio_id: Some(self.0.tasks.len() as u64 + 100),
            parent: Some(TaskId(1)),
            parent_site: Some(SiteIndex(0)),
            state: TaskState::Idle,
            last_poll_us: Some(at_us),
            polls: 2,
            busy_ns: 9_000,
            longest_poll_ns: 5_000,
            wakers: Some(1),
            handles: Some(0),
            wakes: Some(1),
            self_wakes: Some(0),
            woken_us: Some(at_us),
            woken_by: Some(TaskId(1)),
            woken_by_site: Some(SiteIndex(0)),
            thread: Some(77),
            id: TaskId(self.0.tasks.len() as u64 + 1),
            site,
            spawned_us: at_us,
            ..TaskRow::default()
        }
    }

    fn parked(&mut self, task: TaskRow, stacks: &[StackIndex]) {
        self.0.tasks.push(task);
        stacks.iter().for_each(|&stack| self.0.parked.push(ParkedRow { task: task.id, stack }));
    }
}

fn shop() -> Snapshot {
    let mut shop = Shop::default();
    shop.0.process = Process { service: "shop".to_owned(), pid: 4_711, ..Process::default() };
    shop.0.capture.from_us = NOW - 9_000;
    shop.0.capture.to_us = NOW;
    shop.0.capture.runtimes =
        vec![Runtime { name: "main".to_owned(), workers: 2, alive_tasks: Some(4_840), ..Runtime::default() }];
    shop.0.capture.resources.throttled_us = Some(3_000_000);
    let facts = ParkedFacts { passive: true, taken: 9_017, walked: 40, ..ParkedFacts::default() };
    shop.0.capture.parked = Some(ParkedFacts { without_budget: 12, stacks_dropped: 1, ..facts });
    let accept = shop.site("shop::accept::{{closure}}", 40, SiteKind::Task);
    let order = shop.site("shop::order::{{closure}}", 88, SiteKind::Task);
    let reply = shop.site("shop::reply::{{closure}}", 120, SiteKind::Task);
    let hash = shop.site("shop::hash::{{closure}}", 200, SiteKind::Task);
    let upload =
        shop.site("tracing::instrument::Instrumented<shop::upload::{{closure}}>", 230, SiteKind::Task);
    let local = shop.site("shop::ui::{{closure}}", 300, SiteKind::Local);

    // All that are known agree, so the rest is taken to be there as well.
    let receive = shop.receive(131);
    for i in 0..4_812 {
        let task = shop.idle(order, 12 + i % 3);
        shop.parked(task, [&[receive][..], &[]][usize::from(i >= 4)]);
    }
    // These do not agree.
    let (here, there) = (shop.receive(160), shop.sleep(170));
    for i in 0..8 {
        let task = shop.idle(accept, 1);
        shop.parked(task, [&[here, there][..], &[there], &[]][i.min(2)]);
    }
    for minutes in [30, 50] {
        let lost = shop.idle(reply, minutes);
        shop.parked(TaskRow { wakers: Some(0), lost: Some(2), wakes: Some(0), woken_us: None, ..lost }, &[]);
    }
    let computing = shop.stack(&[
        ("core::num::wrapping_mul", "/rustc/01/library/core/src/num/mod.rs", 9),
        ("shop::hash", "src/hash.rs", 5),
    ]);
    let polling =
        TaskRow { state: TaskState::Polling, last_poll_us: Some(NOW - 2_300_000), ..shop.idle(hash, 40) };
    shop.parked(polling, &[]);
    let name = Some(shop.0.strings.intern("worker-3"));
    shop.0.threads.push(ThreadRow {
        tid: 77,
        name,
        task: Some(polling.id),
        watched_us: Some(20_000),
        cpu_us: Some(19_000),
        wait_us: Some(400),
        state: Some('R'),
        stack: Some(computing),
    });
    let asked =
        TaskRow { cancel_us: Some(NOW - 12_000_000), cancel_by: Some(CancelBy::SetDropped), ..polling };
    shop.parked(TaskRow { id: TaskId(asked.id.0 + 1), site: upload, ..asked }, &[]);
    let ui = shop.idle(local, 3);
    let name = Some(shop.0.strings.intern("main window"));
    shop.parked(TaskRow { id: TaskId(ui.id.0 + 1), name, state: TaskState::Woken, ..ui }, &[]);
    for id in 0..10_000 {
        shop.0.zombies.push(ZombieRow {
            id: TaskId(900_000 + id),
            site: upload,
            outcome: Outcome::Done,
            spawned_us: NOW / 2,
            ended_us: NOW / 2 + id,
            handles: 1,
            wakers: u32::from(id < 3),
            cell_bytes: Some(4_224),
            ..ZombieRow::default()
        });
    }
    for (id, cancel_by) in [(7, None), (8, Some(CancelBy::Abort))] {
        shop.0.ends.push(EndRow {
            id: TaskId(id),
            site: order,
            outcome: Outcome::Done,
            spawned_us: NOW - 50_000,
            ended_us: NOW - 30_000,
            polls: 3,
            cancel_us: cancel_by.map(|_| NOW - 40_000),
            cancel_by,
        });
    }
    shop.0
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots").join(name)
}

#[test]
fn what_needs_a_look_comes_first() {
    assert_golden(testdata("dump.txt"), &dump(&shop().into()));
}

#[test]
fn files_of_every_version_say_what_they_ever_did() {
    for minor in 0..=diag_snapshot::format::MINOR {
        let name = if minor == 0 { "v1".to_owned() } else { format!("v1.{minor}") };
        let (snapshot, _) = file::read(&testdata(&format!("{name}.diag"))).expect("readable for ever");
        assert_golden(testdata(&format!("{name}.dump.txt")), &dump(&snapshot.into()));
    }
}

/// Those of one task alone, the innermost first in the snapshot; as text, and as the view that becomes JSON.
#[test]
fn a_task_says_what_it_is_for() {
    let mut shop = Shop::default();
    let site = shop.site("shop::serve::{{closure}}", 7, SiteKind::Task);
    shop.0.capture.to_us = NOW;
    for id in [3, 5, 9] {
        shop.0.tasks.push(TaskRow { id: TaskId(id), site, spawned_us: NOW - MINUTE, ..TaskRow::default() });
    }
    for (task, key, value) in
        [(3, "device", "17"), (5, "request", "r\u{1b}1"), (5, "device", "18"), (77, "device", "nobody's")]
    {
        let [key, value] = [key, value].map(|text| shop.0.strings.intern(text));
        shop.0.labels.push(LabelRow { task: TaskId(task), key, value });
    }
    let labels = |id| shop.0.labels_of(TaskId(id)).collect::<Vec<_>>();
    assert_eq!(labels(3), [("device", "17")]);
    assert_eq!(labels(5), [("request", "r\u{1b}1"), ("device", "18")]);
    assert_eq!([labels(4), labels(9)], [vec![], vec![]]);
    let analysis = diag_analysis::Analysis::new(shop.0.clone());
    assert!(
        dump(&analysis).contains("oldest: tokio id unknown, device 17, spawned 1 min ago"),
        "{}",
        dump(&analysis)
    );
    let views: Vec<String> = analysis.task_views().map(|view| format!("{:?}", view.labels)).collect();
    assert_eq!(views, [r#"{"device": "17"}"#, r#"{"device": "18", "request": "r\u{1b}1"}"#, "{}"]);
}
