//! Real stacks of parked tasks, taken at the clone of a waker on tokio 1.54: each says what it waits
//! for and at which line.
//!
//! In `testdata/leaves` a task begins with `# ` and what is expected of it, each of its stacks with
//! `-`, and a function is a line, innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites
//! what is expected.

mod place;

use diag_snapshot::leaf::{Waiting, describe};
use place::{check, place};

fn waits(stacks: &str) -> Vec<Waiting> {
    let stacks = stacks.split("-\n").skip(1);
    stacks
        .map(|stack| {
            Waiting::of(&stack.lines().filter(|line| !line.is_empty()).map(place).collect::<Vec<_>>())
        })
        .collect()
}

#[test]
fn stacks_of_a_release_build_with_line_tables() {
    check("leaves/release.txt", |stacks| describe(&waits(stacks)));
}

#[test]
fn stacks_of_a_debug_build() {
    check("leaves/debug.txt", |stacks| describe(&waits(stacks)));
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
