//! What a leak guard does besides finding leaks: its forms, what it leaves out, what it says, and what it costs.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use diag::testing::{LeakGuard, LeakKind, leak_guard};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const SHORT: Duration = Duration::from_millis(20);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What a test panics with.
fn panic_of(test: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(test)).err()?;
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}

/// The text of what is left of a test that leaks, with this guard.
fn left(guard: impl FnOnce(LeakGuard) -> LeakGuard, test: impl Future) -> Option<String> {
    runtime().block_on(async {
        let guard = guard(leak_guard()).settle(SHORT);
        let _held = test.await;
        guard.try_finish().await.err().map(|leaks| leaks.to_string())
    })
}

#[test]
fn the_message_reads_like_an_assertion() {
    let (mut at, mut spawned) = (0, 0);
    let leaks = runtime().block_on(async {
        at = line!() + 1;
        let guard = leak_guard().settle(SHORT);
        for _ in 0..2 {
            spawned = line!() + 1;
            diag::spawn(async { tokio::time::sleep(Duration::from_secs(3_600)).await });
        }
        yield_now().await;
        guard.try_finish().await.expect_err("two are left")
    });
    let file = file!();
    let expected = format!(
        "the test with the leak guard of {file}:{at}:21 leaves 2 things behind:\n    \
         2 tasks spawned at {file}:{spawned}:13\n      \
         testing_guard::the_message_reads_like_an_assertion::{{{{closure}}}}::{{{{closure}}}}\n      \
         waits for: timer at {file}:{spawned}\n  \
         next: end it before the test ends: cancel it or close what it waits for, and await its handle\n  \
         if it is to stay: `leak_guard().ignore_site(\"{file}:{spawned}:13\")`"
    );
    assert_eq!(leaks.to_string(), expected);
    let kinds: Vec<_> = leaks.iter().map(|leak| (leak.kind(), leak.count())).collect();
    assert_eq!(kinds, [(LeakKind::Task, 2)]);
}

/// What lies in memory that was allocated a moment ago is not told yet, and a guard without patience waits for that.
#[test]
fn what_is_young_is_found_without_patience() {
    if !cfg!(all(feature = "heap", target_os = "linux", target_arch = "x86_64")) {
        return;
    }
    for _ in 0..20 {
        runtime().block_on(async {
            let guard = leak_guard().settle(Duration::ZERO);
            let task = tokio::spawn(std::future::pending::<()>());
            let leaks = guard.try_finish().await.expect_err("it is left");
            assert_eq!(leaks.iter().map(|leak| leak.count()).collect::<Vec<_>>(), [1], "{leaks}");
            task.abort();
        });
    }
}

#[test]
fn dropped_it_fails_the_test() {
    let text = panic_of(|| {
        runtime().block_on(async {
            let _guard = leak_guard();
            diag::spawn(pending::<()>());
            yield_now().await;
        });
    });
    assert!(text.expect("it panics").contains("1 task spawned at"));
    let workers = Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let text = panic_of(|| {
        workers.block_on(async {
            let _guard = leak_guard().settle(SHORT);
            diag::spawn(pending::<()>());
        });
    });
    assert!(text.expect("it panics").contains("1 task spawned at"));
}

#[test]
fn dropped_it_waits_for_other_threads() {
    let workers = Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    workers.block_on(async {
        let _guard = leak_guard().settle(Duration::from_secs(20));
        diag::spawn(tokio::time::sleep(Duration::from_millis(20)));
    });
    runtime().block_on(async {
        let _guard = leak_guard().settle(Duration::from_secs(20));
        diag::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)));
    });
}

#[test]
fn what_was_asked_to_stop_needs_no_turn() {
    runtime().block_on(async {
        let _guard = leak_guard();
        diag::spawn(pending::<()>()).abort();
        let task = diag::spawn(async {
            let _socket = TcpListener::bind("127.0.0.1:0").await;
            pending::<()>().await;
        });
        yield_now().await;
        task.abort();
        let mut tasks = diag::task::JoinSet::new();
        tasks.spawn(pending::<()>());
    });
}

#[test]
fn a_test_that_panics_is_left_alone() {
    let text = panic_of(|| {
        runtime().block_on(async {
            let _guard = leak_guard();
            diag::spawn(pending::<()>());
            panic!("its own");
        });
    });
    assert_eq!(text.as_deref(), Some("its own"));
    let text = panic_of(|| {
        runtime().block_on(leak_guard().run(async {
            diag::spawn(pending::<()>());
            panic!("its own");
        }));
    });
    assert_eq!(text.as_deref(), Some("its own"));
}

#[test]
fn a_test_may_build_its_runtime_itself() {
    let text = panic_of(|| {
        let _guard = leak_guard().settle(SHORT).strict();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async { diag::spawn(async {}).await.expect("it ends") });
        drop(runtime);
        let runtime = runtime_that_is_left();
        runtime.block_on(async {
            diag::spawn(pending::<()>());
            yield_now().await;
        });
        std::mem::forget(runtime);
    });
    let text = text.expect("a runtime is left");
    assert!(
        text.contains("1 task spawned at") && text.contains("1 worker thread of a runtime, built at"),
        "{text}"
    );
}

fn runtime_that_is_left() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().expect("a runtime")
}

#[test]
fn what_a_test_holds_goes_before_its_guard() {
    runtime().block_on(leak_guard().settle(SHORT).run(async {
        let task = diag::spawn(async {});
        yield_now().await;
        let _listener = TcpListener::bind("127.0.0.1:0").await;
        assert!(task.is_finished());
    }));
}

#[test]
fn what_is_ignored_is_left_out() {
    async fn feed() {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    let test = || async {
        diag::task::Builder::new().name("feed").spawn(feed()).expect("in a runtime");
        yield_now().await;
    };
    assert!(left(|guard| guard, test()).is_some());
    assert_eq!(left(|guard| guard.ignore_site("tests/testing_guard.rs"), test()), None);
    assert_eq!(left(|guard| guard.ignore_type("what_is_ignored_is_left_out::feed"), test()), None);
    assert_eq!(left(|guard| guard.ignore_name("feed"), test()), None);
    assert_eq!(left(|guard| guard.ignore_stack("tokio::time::sleep::Sleep"), test()), None);
    let others = |guard: LeakGuard| {
        guard
            .ignore_site("tests/others.rs")
            .ignore_type("other")
            .ignore_name("fee")
            .ignore_stack("mpsc::recv")
    };
    assert!(left(others, test()).is_some(), "another one");
    let library = || async { drop(tokio::spawn(feed())) };
    assert!(left(|guard| guard, library()).is_some());
    assert_eq!(left(|guard| guard.ignore_site("tests/testing_guard.rs"), library()), None);
    assert_eq!(left(|guard| guard.ignore_stack("what_is_ignored_is_left_out"), library()), None);
}

#[test]
fn what_runs_already_is_left_out() {
    runtime().block_on(async {
        diag::spawn(pending::<()>());
        tokio::spawn(pending::<()>());
        let _earlier = TcpListener::bind("127.0.0.1:0").await;
        let guard = leak_guard();
        guard.finish().await;
        let guard = leak_guard();
        diag::spawn(pending::<()>());
        tokio::spawn(pending::<()>());
        let _later = TcpListener::bind("127.0.0.1:0").await;
        // Until it is known what they are.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let guard = guard.ignore_running();
        guard.finish().await;
    });
}

#[test]
fn tests_on_one_runtime_are_told_apart() {
    let shared = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let both = Barrier::new(2);
    let test = |leaks: bool| {
        shared.block_on(async {
            let guard = leak_guard().settle(SHORT);
            both.wait();
            if leaks {
                diag::spawn(pending::<()>());
                tokio::spawn(pending::<()>());
                let parent = diag::spawn(async { drop(tokio::spawn(pending::<()>())) });
                parent.await.expect("it ends");
            }
            both.wait();
            let left = guard.check().err();
            tokio::time::sleep(Duration::from_millis(20)).await;
            both.wait();
            (
                left.is_some(),
                guard.try_finish().await.err().map(|leaks| leaks.iter().map(|leak| leak.count()).sum()),
            )
        })
    };
    let (leaking, healthy) = std::thread::scope(|scope| {
        let leaking = scope.spawn(|| test(true));
        let healthy = test(false);
        (leaking.join().expect("no panic"), healthy)
    });
    assert_eq!((leaking, healthy), ((true, Some(3)), (false, None)));
}

#[test]
fn guards_may_be_nested_and_end_in_any_order() {
    runtime().block_on(async {
        let outer = leak_guard();
        let inner = leak_guard().settle(SHORT);
        let task = diag::spawn(pending::<()>());
        yield_now().await;
        assert!(inner.check().is_err());
        task.abort();
        drop(task);
        outer.finish().await;
        inner.finish().await;
        diag::spawn(pending::<()>());
    });
}

#[test]
fn a_clock_that_stands_still_is_not_moved() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let before = tokio::time::Instant::now();
        let guard = leak_guard().settle(SHORT);
        diag::spawn(tokio::time::sleep(Duration::from_secs(3_600)));
        let leaks = guard.try_finish().await.expect_err("it sleeps");
        assert!(leaks.to_string().contains("waits for: timer"), "{leaks}");
        assert_eq!(before.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_guard_is_in_no_snapshot() {
    let guard = leak_guard();
    let model = diag::snapshot().into_model();
    let is_guards = |at: &str| at.contains("testing/proof.rs");
    let sites: Vec<String> =
        model.tasks.iter().map(|task| model.site_location(task.site)).filter(|at| is_guards(at)).collect();
    assert!(sites.is_empty(), "{sites:?}");
    guard.forgive();
}

#[test]
fn values_are_to_be_what_they_were() {
    let counted = Arc::new(());
    let handles = Arc::clone(&counted);
    let guard = leak_guard().unchanged("handles", move || Arc::strong_count(&handles));
    assert!(guard.check().is_ok());
    let kept = Arc::clone(&counted);
    let text = guard.check().expect_err("one more").to_string();
    assert!(text.contains("1 value \"handles\" is not what it was\n      it was 2 and is 3"), "{text}");
    drop(kept);
    assert!(guard.check().is_ok());
}

#[test]
#[allow(clippy::print_stdout, reason = "it is a figure")]
fn a_test_without_a_leak_pays_little() {
    const GUARDS: usize = 100;
    let runtime = runtime();
    let mut costs: Vec<Duration> = (0..GUARDS)
        .map(|_| {
            runtime.block_on(async {
                let before = Instant::now();
                let guard = leak_guard();
                let begun = before.elapsed();
                for _ in 0..10 {
                    diag::spawn(yield_now()).await.expect("it ends");
                }
                let before = Instant::now();
                guard.finish().await;
                begun + before.elapsed()
            })
        })
        .collect();
    costs.sort();
    println!("a guard takes {:?}, 9 in 10 no more than {:?}", costs[GUARDS / 2], costs[GUARDS * 9 / 10]);
    assert!(costs[GUARDS / 2] < Duration::from_millis(2), "{costs:?}");
}
