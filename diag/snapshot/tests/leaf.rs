//! Real stacks of parked tasks, taken at the clone of a waker on tokio 1.54: each says what it waits
//! for and at which line.
//!
//! In `testdata/leaves` a task begins with `# ` and what is expected of it, each of its stacks with
//! `-`, and a function is a line, innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites
//! what is expected.

mod place;

use std::path::Path;

use diag_snapshot::leaf::{Waiting, describe};
use place::place;

fn waits(stacks: &str) -> Vec<Waiting> {
    let stacks = stacks.split("-\n").skip(1);
    stacks
        .map(|stack| {
            Waiting::of(&stack.lines().filter(|line| !line.is_empty()).map(place).collect::<Vec<_>>())
        })
        .collect()
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/leaves").join(name);
    let expected = std::fs::read_to_string(&path).expect("the stacks are there");
    let tasks = expected.split("# ").skip(1).filter_map(|task| task.split_once('\n'));
    let actual: String =
        tasks.map(|(_, stacks)| format!("# {}\n{stacks}", describe(&waits(stacks)))).collect();
    if std::env::var_os("DIAG_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &actual).expect("testdata is writable");
    }
    let heads = |text: &str| {
        text.lines().filter(|line| line.starts_with("# ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(heads(&actual), heads(&expected), "{name}");
}

#[test]
fn stacks_of_a_release_build_with_line_tables() {
    check("release.txt");
}

#[test]
fn stacks_of_a_debug_build() {
    check("debug.txt");
}

/// A module and an offset is all that a stripped build gives.
#[test]
fn a_stack_without_names_is_other() {
    let stripped = waits("-\nshop+0x1234\nshop+0x99");
    assert_eq!(describe(&stripped), "other at shop+0x99");
    assert_eq!(describe(&[]), "not known");
}

#[test]
fn what_another_crate_made_is_named() {
    let stack = "-\nasync_channel::Recv::poll | /registry/src/i/async-channel-2.0.0/src/lib.rs:9\n\
                 shop::cart::{async_fn#0} | src/cart.rs:7\nshop::main | src/main.rs:1";
    assert_eq!(describe(&waits(stack)), "other: async_channel::Recv::poll at src/cart.rs:7");
    let own = "-\ncore::task::wake::clone\nshop::Slot::poll | src/slot.rs:3\nshop::main | src/main.rs:1";
    assert_eq!(describe(&waits(own)), "own future at src/slot.rs:3");
}
