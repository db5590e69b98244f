//! Runs the hub of `examples/src/iothub` with each of its faults and healthy loads, some beside each other, and prints what
//! `diag check` says of each and one line of verdict.
//!
//! The hub is of the workspace, and this is not: `--program target/release/iothub` says where it lies. Exit code 1 if any run is not as
//! it is to be.

use std::process::ExitCode;

use diag_trial::case::Case;
use diag_trial::wanted::Wanted;

/// For runs of 18 s: the default asks of what nobody ever ended, and of memory, that it goes on for half a minute.
const POLICY: &str = include_str!("../../../src/iothub/diag.toml");

const A_MAP: &str = "often a map without a limit or an expiry";

/// What is right to say of each fault: a rule, and words.
const FAULTS: [(&str, &str, &[&str]); 11] = [
    ("ghost-devices", "task-leak", &["device::serve", "waits for: oneshot", "device"]),
    ("map-no-ttl", "heap-growth", &["Sessions::store", A_MAP]),
    ("listener-not-closed", "task-leak", &["commands::listen", "waits for: mpsc", "device"]),
    ("big-task-local", "heap-growth", &["journal", "allocated by tasks spawned at"]),
    ("buffer-pool-hoard", "heap-growth", &["pool::", "0 freed"]),
    ("closure-captures-state", "heap-growth", &["Calibration::new", "0 freed"]),
    ("tick-burst", "slow-polls", &["sensor::watch"]),
    ("fuse-stuck-open", "resource-leak", &["OpenFuse", "were to be dropped within"]),
    ("retry-spawns", "task-leak", &["they multiply", "count the tries"]),
    ("blocking-handler", "slow-polls", &["hand_over"]),
    ("slice-retains-packet", "heap-growth", &["read_frame"]),
];

const HEALTHY: [&str; 5] = ["mixed", "growth", "wave", "churn", "plateau"];

fn main() -> anyhow::Result<ExitCode> {
    let fault = |(name, rule, words): &'static (&str, &str, &'static [&str])| {
        let wanted = Wanted { rules: std::slice::from_ref(rule), words };
        Case::new(Some(((*name).to_owned(), wanted)), "mixed".to_owned(), &[0])
    };
    let healthy = |load: &&str| Case::new(None, (*load).to_owned(), &[0]);
    let cases = FAULTS.iter().map(fault).chain(HEALTHY.iter().map(healthy));
    diag_trial::rounds::main("iothub", cases.collect(), POLICY)
}
