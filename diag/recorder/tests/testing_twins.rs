//! Tests that leak are failed by their guard, with the line of the leak; their healthy twins pass, all of them beside each other, and
//! none sees what another one leaks. Without the guard, each passes: the harness itself sees nothing.
//!
//! `DIAG_TWINS=100 cargo test -p diag --test testing_twins` runs each a hundred times.

mod leaking;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diag::testing::{Leaks, leak_guard};
use leaking::{CASES, Case, SCOPE, clean_up, guarded};
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const THREADS: usize = 6;

fn runtime(case: &Case) -> Runtime {
    let mut builder =
        if case.on_workers { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// What the guard says of a test.
fn verdict(case: &Case, leaks: bool) -> Result<(), Leaks> {
    let runtime = runtime(case);
    let result = runtime.block_on(async {
        // Healthy ones wait for nothing, however long they might.
        let patience = if leaks { Duration::from_millis(50) } else { Duration::from_secs(20) };
        let guard = guarded(leak_guard()).settle(patience).strict();
        SCOPE.set(Some(guard.scope()));
        (case.run)(leaks).await;
        guard.try_finish().await
    });
    SCOPE.take();
    clean_up();
    runtime.shutdown_background();
    result
}

/// `testing_twins.rs:40`, where the leak is made.
fn site(case: &Case) -> Option<String> {
    let mark = format!("// leak: {}", case.name);
    let mut lines = (1..).zip(include_str!("leaking/mod.rs").lines());
    let (line, _) = lines.find(|(_, line)| line.ends_with(&mark))?;
    Some(format!("leaking/mod.rs:{line}"))
}

/// What is wrong with the verdict on a test.
fn wrong(case: &Case, leaks: bool) -> Option<String> {
    let result = match catch_unwind(AssertUnwindSafe(|| verdict(case, leaks))) {
        Ok(result) => result,
        Err(_) => return Some(format!("{} ({leaks}) panics", case.name)),
    };
    let said = match (&result, leaks) {
        (Ok(()), false) => return None,
        (Ok(()), true) => return Some(format!("{} passes", case.name)),
        (Err(said), false) => return Some(format!("the healthy {} fails: {said}", case.name)),
        (Err(said), true) => said,
    };
    let text = said.to_string();
    let left: Vec<_> = said.iter().map(|leak| (leak.kind(), leak.count())).collect();
    let is_right =
        left == case.leaves && text.contains(case.says) && site(case).is_none_or(|site| text.contains(&site));
    (!is_right).then(|| format!("{} at {:?} has {left:?}: {text}", case.name, site(case)))
}

#[test]
fn each_leak_fails_at_its_line_and_each_twin_passes_beside_the_others() {
    assert!(CASES.len() >= 24);
    let rounds: usize = std::env::var("DIAG_TWINS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let (next, wrongs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            // Neighbours differ by a case, so that leaks and twins of all kinds meet.
            let (case, leaks) = (&CASES[at % CASES.len()], (at / CASES.len()).is_multiple_of(2));
            if at >= rounds * 2 * CASES.len() {
                return;
            }
            wrongs.lock().expect("nobody panics").extend(wrong(case, leaks));
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let wrongs = wrongs.into_inner().expect("nobody panics");
    assert!(wrongs.is_empty(), "{} of {}: {}", wrongs.len(), rounds * 2 * CASES.len(), wrongs.join("\n\n"));
}

#[test]
fn each_leak_passes_without_the_guard() {
    for case in CASES {
        let runtime = runtime(case);
        runtime.block_on(async {
            // Only for the one that spawns on a thread of its own.
            let guard = leak_guard();
            SCOPE.set(Some(guard.scope()));
            guard.forgive();
            (case.run)(true).await;
        });
        SCOPE.take();
        clean_up();
        runtime.shutdown_background();
    }
}
