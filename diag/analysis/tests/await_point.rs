//! Real stacks of parked tasks, taken at the clone of a waker on tokio 1.54: each says what it waits
//! for and at which line.
//!
//! In `testdata/await_points` a task begins with `# ` and what is expected of it, each of its stacks with
//! `-`, and a function is a line, innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites
//! what is expected.

mod place;

use diag_analysis::await_point::{AwaitPoint, describe};
use diag_analysis::source_location::SourceLocation;
use place::{check, place};

/// Where the task was spawned, which is said if it has no line of its own.
const SPAWNED: &str = "src/main.rs:7:1";

fn waits(stacks: &str) -> Vec<AwaitPoint> {
    let stacks = stacks.split("-\n").skip(1);
    stacks
        .map(|stack| {
            AwaitPoint::of(&stack.lines().filter(|line| !line.is_empty()).map(place).collect::<Vec<_>>())
        })
        .collect()
}

#[test]
fn stacks_of_a_release_build_with_line_tables() {
    check("await_points/release.txt", |stacks| describe(&waits(stacks), SPAWNED));
}

#[test]
fn stacks_of_a_debug_build() {
    check("await_points/debug.txt", |stacks| describe(&waits(stacks), SPAWNED));
}

/// A module and an offset is all that a stripped build gives.
#[test]
fn a_stack_without_names_is_other() {
    let stripped = waits("-\nshop+0x1234\nshop+0x99");
    assert_eq!(describe(&stripped, SPAWNED), "other at src/main.rs:7:1");
    assert_eq!(describe(&[], SPAWNED), "not known");
}

#[test]
fn what_another_crate_made_is_named() {
    let stack = "-\ncore::task::wake::clone\n\
                 pulsar::wait::Slot::poll | /registry/src/i/pulsar-2.0.0/src/wait.rs:9\n\
                 <pulsar::Next<T> as core::future::Future>::poll | /registry/src/i/pulsar-2.0.0/src/lib.rs:7\n\
                 <tracing::instrument::Instrumented<T> as core::future::Future>::poll | \
                 /registry/src/i/tracing-0.1.0/src/instrument.rs:9\n\
                 <tokio::time::timeout::Timeout<T> as core::future::Future>::poll | \
                 /registry/src/i/tokio-1.0.0/src/time/timeout.rs:9\n\
                 shop::cart::{async_fn#0} | src/cart.rs:7\nshop::main | src/main.rs:1";
    assert_eq!(describe(&waits(stack), SPAWNED), "other: pulsar::Next at src/cart.rs:7");
    let own = "-\ndiag::task::waker::clone | /home/ci/diag/src/task/waker.rs:9\ncore::task::wake::clone\nshop::Slot::poll | src/slot.rs:3\nshop::main | src/main.rs:1";
    assert_eq!(describe(&waits(own), SPAWNED), "own future at src/slot.rs:3");
}

/// The stack of a thread goes on to where the service started its runtime, which is no line of the task.
#[test]
fn a_stack_ends_where_the_task_is_polled() {
    let outside = "<diag::task::future::Tracked<F> as core::future::Future>::poll | \
                   /home/ci/diag/src/task/future.rs:45\n\
                   tokio::runtime::runtime::Runtime::block_on | /registry/src/i/tokio-1.54.1/src/a.rs:1\n\
                   shop::main | src/main.rs:3";
    let check = |inside: &str, expected: Option<&str>| {
        let waiting = waits(&format!("-\n{inside}\n{outside}")).remove(0);
        assert_eq!(waiting.nearest().map(SourceLocation::location).as_deref(), expected, "{inside}");
    };
    check(
        "std::thread::sleep | /rustc/01/library/std/src/thread.rs:1\nshop::work | src/work.rs:9",
        Some("src/work.rs:9"),
    );
    check(
        "libc.so.6+0x1234\nbcrypt::hash | /registry/src/i/bcrypt-1.0.0/src/lib.rs:7",
        Some("bcrypt-1.0.0/src/lib.rs:7"),
    );
    check("libc.so.6+0x1234", None);
}

#[test]
fn stacks_of_many_crates_in_a_debug_build() {
    check("await_points/crates_debug.txt", |stacks| describe(&waits(stacks), SPAWNED));
}

#[test]
fn stacks_of_many_crates_in_a_release_build_with_line_tables() {
    check("await_points/crates_release.txt", |stacks| describe(&waits(stacks), SPAWNED));
}

/// The service's own function is inlined into ours, whose symbol is all that is left of it.
#[test]
fn stacks_of_many_crates_in_a_release_build_with_symbols_alone() {
    check("await_points/crates_symbols.txt", |stacks| describe(&waits(stacks), SPAWNED));
}

#[test]
fn who_awaits_it_is_told_from_the_nearest_line_outwards() {
    let stack = "-\ndiag::task::waker::clone | /home/ci/diag/src/task/waker.rs:9\n\
                 tokio::sync::oneshot::Receiver<T>::poll | /registry/src/i/tokio-1.0.0/src/sync/oneshot.rs:9\n\
                 shop::cart::reserve::{{closure}} | src/cart.rs:7\n\
                 <tokio::time::timeout::Timeout<T> as core::future::Future>::poll | \
                 /registry/src/i/tokio-1.0.0/src/time/timeout.rs:9\n\
                 shop::order::place::{{closure}} | src/order.rs:20\n\
                 shop::order::place | src/order.rs:20\n\
                 shop::serve::{{closure}} | src/main.rs:3";
    let [waits] = &waits(stack)[..] else { panic!("one stack") };
    let chain: Vec<String> = waits.chain.iter().map(SourceLocation::location).collect();
    assert_eq!(
        (describe(std::slice::from_ref(waits), SPAWNED).as_str(), chain.join(" < ").as_str()),
        ("oneshot at src/cart.rs:7", "src/order.rs:20 < src/main.rs:3")
    );
}
