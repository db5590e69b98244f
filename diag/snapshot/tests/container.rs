//! Real stacks of allocations: each says what kind of thing its block is part of.
//!
//! In `testdata/containers` a stack begins with `# ` and what is expected of it, and a function is a line,
//! innermost first, `function | file:line`. `DIAG_BLESS=1` rewrites what is expected.

mod place;

use std::path::Path;

use diag_snapshot::container::Container;
use diag_snapshot::names::Place;
use place::place;

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/containers").join(name);
    let expected = std::fs::read_to_string(&path).expect("the stacks are there");
    let stacks = expected.split("# ").skip(1).filter_map(|stack| stack.split_once('\n'));
    let kind = |stack: &str| Container::of(&stack.lines().map(place).collect::<Vec<Place>>()).as_str();
    let actual: String = stacks.map(|(_, stack)| format!("# {}\n{stack}", kind(stack))).collect();
    if std::env::var_os("DIAG_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &actual).expect("testdata is writable");
    }
    let heads = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("# ")).map(str::to_owned).collect()
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
    assert_eq!(Container::of(&[place("shop+0x1234"), place("shop+0x99")]), Container::Other);
    assert_eq!(Container::of(&[]), Container::Other);
}

#[test]
fn what_the_service_calls_its_own_is_not_looked_into() {
    let own =
        ["alloc::raw_vec::finish_grow", "shop::cache::Cache::insert", "alloc::string::String::push_str"];
    assert_eq!(Container::of(&own.map(place)), Container::Vec);
}
