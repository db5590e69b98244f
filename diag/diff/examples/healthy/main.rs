//! Proof of silence: `cargo run --release -p diag-diff --example healthy -- --cases 200000`
//!
//! Judges so many series of 3 to 60 snapshots of healthy services, no two alike, and counts what is found in them. None
//! in 200,000 means at most 0.0015 % false alarms at 95 % confidence (the rule of three). It passes with no finding
//! proven and at most 3 likely in 200,000. Each alarm is listed with its seeds: `-- --seed 1234` prints the report of one.
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

mod kinds;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use diag_analysis::Analysis;
use diag_diff::{Category, Confidence, Outcome, Policy, Report, Series, judge_series, report};
use kinds::Healthy;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let place = args.iter().position(|arg| arg == name)?;
        args.get(place + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = given("--seed") {
        let healthy = Healthy::of(seed);
        println!("{}: {:?}", healthy.kind, healthy.moments);
        println!("{}", report::text::render(&judged(&healthy)));
        return ExitCode::SUCCESS;
    }
    let cases = given("--cases").unwrap_or(200_000);
    let tally = of_all(cases);
    for ((rule, confidence, kind), seeds) in &tally.alarms {
        println!("{rule} {} on {kind}: {}, as of {:?}", confidence.as_str(), seeds.len(), first(seeds));
    }
    let count = |at_least| tally.with(at_least);
    // Of fewer cases a fair share, rounded down.
    let likely = cases * 3 / 200_000;
    let passes =
        count(Confidence::Proven) == 0 && tally.series == cases && count(Confidence::Likely) <= likely;
    println!(
        "{}: {} healthy series, {} with any finding: {} possible, {} likely, {} proven; {} with too little data",
        if passes { "PASS" } else { "FAIL" },
        tally.series,
        tally.surest.len(),
        tally.surest.values().filter(|surest| **surest == Confidence::Possible).count(),
        tally.surest.values().filter(|surest| **surest == Confidence::Likely).count(),
        count(Confidence::Proven),
        tally.too_little
    );
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judged(healthy: &Healthy) -> Report {
    let members = healthy.moments.iter().map(|&at| Analysis::from(healthy.service.at(at)));
    let series = Series::new(members.collect()).expect("one service");
    judge_series(&series, &Policy::default()).expect("one service").expect("three snapshots or more")
}

/// What was found in all.
#[derive(Default)]
struct Tally {
    series: u64,
    too_little: u64,
    /// By rule, confidence and kind of health: the seeds.
    alarms: BTreeMap<(&'static str, Confidence, &'static str), Vec<u64>>,
    /// By seed.
    surest: BTreeMap<u64, Confidence>,
}

impl Tally {
    fn add(&mut self, seed: u64) {
        let healthy = Healthy::of(seed);
        let report = judged(&healthy);
        self.series += 1;
        self.too_little += u64::from(report.outcome == Outcome::InsufficientData);
        for finding in report.findings.iter().filter(|finding| finding.category != Category::Retention) {
            self.alarms.entry((finding.rule, finding.confidence, healthy.kind)).or_default().push(seed);
            let surest = self.surest.entry(seed).or_insert(finding.confidence);
            *surest = finding.confidence.max(*surest);
        }
    }

    fn merge(&mut self, other: Tally) {
        self.series += other.series;
        self.too_little += other.too_little;
        other
            .alarms
            .into_iter()
            .for_each(|(alarm, seeds)| self.alarms.entry(alarm).or_default().extend(seeds));
        self.surest.extend(other.surest);
    }

    /// How many series have a finding of this confidence or above.
    fn with(&self, at_least: Confidence) -> u64 {
        self.surest.values().filter(|surest| **surest >= at_least).count() as u64
    }
}

/// On all cores.
fn of_all(cases: u64) -> Tally {
    let next = AtomicU64::new(1);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > cases {
                return tally;
            }
            tally.add(seed);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut tally = Tally::default();
        workers.into_iter().for_each(|worker| tally.merge(worker.join().expect("it does not panic")));
        tally
    })
}

/// The first few, ascending: threads hand them in mixed.
fn first(seeds: &[u64]) -> Vec<u64> {
    let mut seeds = seeds.to_vec();
    seeds.sort_unstable();
    seeds.truncate(5);
    seeds
}
