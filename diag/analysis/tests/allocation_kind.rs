//! Real stacks of allocations: each says what kind of thing its block is part of.
//!
//! In `testdata/allocation_kinds` a stack begins with `# ` and what is expected of it, and a function is a line,
//! innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites what is expected.

mod place;

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::source_location::SourceLocation;
use place::{check, place};

fn kind(stack: &str) -> String {
    AllocationKind::of(&stack.lines().map(place).collect::<Vec<SourceLocation>>()).as_str().to_owned()
}

#[test]
fn stacks_of_a_release_build_with_line_tables() {
    check("allocation_kinds/release.txt", kind);
}

#[test]
fn stacks_of_a_debug_build() {
    check("allocation_kinds/debug.txt", kind);
}

/// A module and an offset is all that a stripped build gives.
#[test]
fn a_stack_without_names_is_other() {
    assert_eq!(AllocationKind::of(&[place("shop+0x1234"), place("shop+0x99")]), AllocationKind::Other);
    assert_eq!(AllocationKind::of(&[]), AllocationKind::Other);
}

#[test]
fn what_the_service_calls_its_own_is_not_looked_into() {
    let own =
        ["alloc::raw_vec::finish_grow", "shop::cache::Cache::insert", "alloc::string::String::push_str"];
    assert_eq!(AllocationKind::of(&own.map(place)), AllocationKind::Vec);
}
