//! Each fault and load of the hub is one of those that are tried, and each that is tried is one of these.

use std::collections::BTreeSet;

use clap::ValueEnum;
use diag_examples::iothub::{Fault, Load};

const ROUNDS: &str = include_str!("../trial/src/bin/iothub_rounds.rs");

fn names<T: ValueEnum>() -> BTreeSet<String> {
    let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

#[test]
fn all_faults_are_tried_and_no_others() {
    let rows = ROUNDS.lines().filter_map(|line| line.strip_prefix("    (\"")?.split('"').next());
    assert_eq!(rows.map(str::to_owned).collect::<BTreeSet<_>>(), names::<Fault>());
}

#[test]
fn all_healthy_loads_are_tried_and_no_others() {
    let line = ROUNDS.lines().find(|line| line.starts_with("const HEALTHY")).expect("they are listed");
    let tried = line.split('"').skip(1).step_by(2).map(str::to_owned);
    assert_eq!(tried.collect::<BTreeSet<_>>(), names::<Load>());
}
