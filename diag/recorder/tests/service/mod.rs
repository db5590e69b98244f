//! A service that does a bit of everything, while the system refuses this or that: whatever it is, the service gets what
//! it would get without diag, and what is missing is said in the file and by the agent.

use std::hint::{black_box, spin_loop};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use diag_analysis::named_stacks::NamedStacks;
use diag_snapshot::{Snapshot, ThreadRow};
use diag_test_support::again::again;
use diag_test_support::eventually::Patience;
use diag_test_support::http;

/// Children of a test run it again with this set.
const CHILD: &str = "REFUSING_SYSTEM_CHILD";
/// What a child says that may not do so.
const SKIPPED: &str = "not permitted here";
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the calling test, which has this name, again in a process of its own. False if that may not do to itself what
/// it should, or not be started so.
pub(crate) fn child(test: &str, what: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    let mut child = again(test);
    child.env(CHILD, what);
    prepare(&mut child);
    let ended = match child.output() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return false,
        ended => ended.expect("it runs"),
    };
    let [out, err] = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success() && !err.contains("panicked"), "{what}: {out}\n{err}");
    !out.contains(SKIPPED)
}

/// What this process was started for by [`child`]; `None` in the test itself.
pub(crate) fn child_of() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Says that this cannot be tried here.
#[expect(clippy::print_stdout, reason = "that is how it answers")]
#[allow(dead_code, reason = "not every restriction needs permission")]
pub(crate) fn not_permitted() {
    println!("{SKIPPED}");
}

#[expect(clippy::print_stderr, reason = "a test that proves less must say so")]
#[allow(dead_code, reason = "not every restriction needs permission")]
pub(crate) fn skipped(count: usize) {
    eprintln!("skipped: {count} restrictions, which are {SKIPPED}");
}

/// What can be known of the service.
pub(crate) struct Seen {
    /// As it is read from the file.
    pub(crate) snapshot: Snapshot,
    /// What `/healthz?verbose` says; empty if no agent listens.
    pub(crate) health: String,
}

#[allow(dead_code, reason = "not every test asks all")]
impl Seen {
    /// What was not recorded, in words.
    pub(crate) fn notes(&self) -> String {
        diag_analysis::not_recorded(&self.snapshot.capture).collect::<Vec<_>>().join("\n")
    }

    /// The line of a part.
    #[track_caller]
    pub(crate) fn part(&self, part: &str) -> &str {
        let line = self.health.lines().find_map(|line| line.strip_prefix(part)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {part:?} in {:?}", self.health))
    }

    /// The thread that is held up in this function; what is on its stack, innermost first.
    fn functions(&self, row: &ThreadRow) -> Vec<String> {
        let names = NamedStacks::new(&self.snapshot.stacks, &self.snapshot.strings);
        row.stack
            .map_or(Vec::new(), |stack| names.stack(stack).map(|place| place.function.to_string()).collect())
    }

    /// How many of the threads that are held up have a stack with this function.
    pub(crate) fn held_up_in(&self, function: &str) -> usize {
        let is_in = |row: &ThreadRow| self.functions(row).iter().any(|name| name.ends_with(function));
        self.snapshot.threads.iter().filter(is_in).count()
    }

    pub(crate) fn stacks_of_samples(&self) -> usize {
        let Some(heap) = &self.snapshot.heap else { return 0 };
        let has_callers =
            |stack| self.snapshot.stacks.stacks.get(stack).is_some_and(|row| row.caller.is_some());
        heap.samples.iter().filter(|sample| has_callers(sample.stack.0 as usize)).count()
    }
}

#[inline(never)]
pub(crate) fn spins(go_on: &AtomicBool) {
    while black_box(go_on).load(Ordering::Relaxed) {
        spin_loop();
    }
}

#[inline(never)]
pub(crate) fn sleeps(go_on: &AtomicBool) {
    while black_box(go_on).load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(200));
    }
}

/// Threads are held up until this is dropped, in a panic as well.
struct HeldUp(Arc<AtomicBool>);

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Starts the runtime, then restricts the process, or the thread that starts diag, and serves. What the last look found,
/// in which two threads are held up; `None` if the restriction is not permitted.
pub(crate) fn serve(restrict: impl FnOnce() -> bool + Send) -> Option<Seen> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let start = || {
        let builder = diag::Builder::new().addr(SocketAddr::from(([127, 0, 0, 1], 0))).heap_rate(10_000);
        // What could not start is in the health, and the service does not care.
        restrict().then(|| builder.start().agent_addr())
    };
    let Some(addr) = thread::scope(|scope| scope.spawn(start).join().expect("it does not panic")) else {
        not_permitted();
        return None;
    };
    let go_on = Arc::new(AtomicBool::new(true));
    let held_up_threads = HeldUp(Arc::clone(&go_on));
    let patience = Patience::new(PATIENCE);

    let seen = runtime.block_on(async {
        let (sender, _) = tokio::sync::watch::channel(0_u64);
        let parked: Vec<_> = (0..50_u64)
            .map(|i| {
                let mut receiver = sender.subscribe();
                diag::spawn(async move {
                    let block = black_box(vec![i as u8; 400_000]);
                    receiver.changed().await.expect("it is sent");
                    assert!(block.iter().all(|&byte| byte == i as u8));
                    *receiver.borrow() + i
                })
            })
            .collect();
        let held_up = [spins, sleeps].map(|hold: fn(&AtomicBool)| {
            let go_on = Arc::clone(&go_on);
            diag::spawn(async move { hold(&go_on) })
        });
        for i in 0..200_u64 {
            let job = async move {
                tokio::time::sleep(Duration::from_micros(i % 3_000)).await;
                black_box(vec![i; 100]).iter().sum::<u64>()
            };
            assert_eq!(diag::spawn(job).await.expect("it ends"), 100 * i);
        }
        let snapshot = loop {
            let snapshot =
                tokio::task::spawn_blocking(|| diag::snapshot().into_model()).await.expect("it is taken");
            // On a busy machine a thread may be late.
            let is_late = |what: &String| what.contains("did not answer") || what.contains("too often");
            if snapshot.threads.len() == 2 && !snapshot.capture.dropped.keys().any(is_late) {
                break snapshot;
            }
            patience.check("two threads are held up", (snapshot.threads, snapshot.capture.dropped));
        };
        let text = diag_analysis::dump::dump(&snapshot.clone().into());
        assert!(text.contains("tests/service/mod.rs"), "{text}");
        let health = addr.filter(|addr| TcpStream::connect(addr).is_ok()).map(|addr| {
            let text = http::get(addr, "/dump").text().to_owned();
            assert!(text.contains("tests/service/mod.rs"), "{text}");
            http::get(addr, "/healthz?verbose").text().to_owned()
        });
        drop(held_up_threads);
        for task in held_up {
            task.await.expect("it ends");
        }
        sender.send(1_000).expect("they listen");
        for (i, task) in parked.into_iter().enumerate() {
            assert_eq!(task.await.expect("it ends"), 1_000 + i as u64);
        }
        let (snapshot, damage) = diag_snapshot::read(&diag_snapshot::write(&snapshot)).expect("a file");
        assert!(damage.is_empty(), "{damage:?}");
        Seen { snapshot, health: health.unwrap_or_default() }
    });
    drop(runtime);
    Some(seen)
}
