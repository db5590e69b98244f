//! Proof of silence: `cargo run --release -p diag-diff --example healthy -- 176471`
//!
//! Judges so many pairs of snapshots of healthy services, no two alike, and counts findings. None
//! in 176,471 means at most 0.0017 % false alarms at 95 % confidence (the rule of three).
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

#[path = "../tests/script/mod.rs"]
mod script;

use diag_diff::{Policy, judge};
use script::{Random, Service, Task, churn, diff, in_order, steady};

fn main() {
    let pairs: u64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(176_471);
    let mut alarms = [0u64; 2];
    for seed in 1..=pairs {
        let (service, before, after) = healthy(seed);
        let report =
            diff(&service.at(before), &service.at(after)).map(|diff| judge(&diff, &Policy::default()));
        let Ok(report) = report else { continue };
        alarms[0] += u64::from(!report.findings.is_empty());
        alarms[1] += u64::from(report.fails);
    }
    let verdict = if alarms[0] == 0 { "PASS" } else { "FAIL" };
    println!(
        "{verdict}: {pairs} healthy pairs, {} with any finding, {} that fail a check",
        alarms[0], alarms[1]
    );
}

/// One of five kinds of health, with rates, lifetimes and times drawn at random.
fn healthy(seed: u64) -> (Service, f64, f64) {
    let mut random = Random::new(seed);
    let before = 10.0 + 40.0 * random.uniform();
    let after = before + 5.0 + 30.0 * random.uniform();
    let per_s = 1.0 + 15.0 * random.uniform();
    let lifetime = 0.05 + random.exponential(1.0);
    let pause = 0.01 + random.exponential(0.5);
    let requests = churn(seed, 7, 0.0, after, per_s, lifetime, pause);
    let tasks: Vec<Task> = match seed % 5 {
        0 => requests,
        // Most requests are short and some wait long, without a poll.
        1 => [requests, churn(seed + 1, 7, 0.0, after, per_s / 4.0, lifetime * 20.0, 1e9)].concat(),
        // Devices come until they are all there, and stay with a heartbeat.
        2 => [requests, steady(9, 200, 0.0, before, 0.1 + random.exponential(1.0))].concat(),
        // Workers that were started with the service, or later in one go, and have nothing to do.
        3 => {
            let from = after * random.uniform() * f64::from((seed % 2) as u32);
            [requests, steady(7, 100, from, from + 1.0, 1e9)].concat()
        }
        // Traffic doubles between the snapshots.
        _ => [requests, churn(seed + 1, 7, before, after, per_s, lifetime, pause)].concat(),
    };
    (Service::new(in_order(tasks)), before, after)
}
