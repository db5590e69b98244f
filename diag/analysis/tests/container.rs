//! Real stacks of allocations: each says what kind of thing its block is part of.
//!
//! In `testdata/containers` a stack begins with `# ` and what is expected of it, and a function is a line,
//! innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites what is expected.

mod place;

use diag_analysis::container::Container;
use diag_analysis::names::Place;
use place::{check, place};

fn kind(stack: &str) -> String {
    Container::of(&stack.lines().map(place).collect::<Vec<Place>>()).as_str().to_owned()
}

#[test]
fn stacks_of_a_release_build_with_line_tables() {
    check("containers/release.txt", kind);
}

#[test]
fn stacks_of_a_debug_build() {
    check("containers/debug.txt", kind);
}

/// A module and an offset is all that a stripped build gives.
#[test]
fn a_stack_without_names_is_other() {
    assert_eq!(Container::of(&[place("shop+0x1234"), place("shop+0x99")]), Container::Other);
    assert_eq!(Container::of(&[]), Container::Other);
}

#[test]
fn what_the_service_calls_its_own_is_not_looked_into() {
    let own =
        ["alloc::raw_vec::finish_grow", "shop::cache::Cache::insert", "alloc::string::String::push_str"];
    assert_eq!(Container::of(&own.map(place)), Container::Vec);
}
