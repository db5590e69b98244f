//! Proof that what is said of tasks that wait is true: `cargo run --release -p diag-analysis --example task_graphs -- --cases 100000`
//!
//! Each case is a little machine of tasks with programs over locks, semaphores, channels and each other, with futures that nobody
//! polls any more, guards in boxes, words that are left over, and an outside that acts. It runs for a while in any order, is
//! looked at as a sweep would, and then goes on in several other orders. What was said to go on never and does in one of them is a
//! lie: none may be proven or likely. What was said to be possible is counted. `--seed N` shows one case.
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

mod machine;
mod sweep;

use std::collections::BTreeMap;
use std::process::ExitCode;

use diag_analysis::Analysis;
use diag_analysis::holders::Certainty;
use diag_snapshot::SweepMode;
use diag_test_support::random::SplitMix;
use machine::{Machine, Status};

/// So many ways to go on are tried.
const FUTURES: u64 = 12;
/// So many steps each.
const STEPS: usize = 300;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let place = args.iter().position(|arg| arg == name)?;
        args.get(place + 1)?.parse::<u64>().ok()
    };
    let mut tally = Tally::default();
    if let Some(seed) = given("--seed") {
        let case = Case::of(seed);
        println!("{:#?}\n{:#?}\n{:?}", case.machine.tasks, case.machine.locks, case.machine.outside);
        tally.add(seed, &case, true);
        return ExitCode::SUCCESS;
    }
    let cases = given("--cases").unwrap_or(100_000);
    (0..cases).for_each(|seed| tally.add(seed, &Case::of(seed), false));
    tally.print(cases)
}

/// A machine at one moment.
struct Case {
    machine: Machine,
    mode: SweepMode,
}

impl Case {
    fn of(seed: u64) -> Self {
        let mut chance = SplitMix(seed);
        let mode = if seed.is_multiple_of(2) { SweepMode::Full } else { SweepMode::Normal };
        let mut machine = Machine::random(&mut chance);
        let steps = 5 + chance.below(200) as usize;
        machine.run(steps, &mut chance);
        Case { machine, mode }
    }

    /// Which tasks run again in some order of what comes.
    fn run_again(&self, seed: u64) -> Vec<bool> {
        let mut ran = vec![false; self.machine.tasks.len()];
        for future in 0..FUTURES {
            let mut machine = self.machine.clone();
            machine.tasks.iter_mut().for_each(|task| task.ran = task.status == Status::Runs);
            machine.run(STEPS, &mut SplitMix(seed ^ (future + 1) << 40));
            ran.iter_mut().zip(&machine.tasks).for_each(|(ran, task)| *ran |= task.ran);
        }
        ran
    }
}

#[derive(Default)]
struct Tally {
    /// By mode and certainty: said and true, said and false with the seeds.
    never: BTreeMap<(&'static str, Certainty), (u64, Vec<u64>)>,
    cycles: BTreeMap<(&'static str, Certainty), (u64, Vec<u64>)>,
    /// By mode: tasks that wait and never go on, and how many of them were told.
    lost: BTreeMap<&'static str, [u64; 2]>,
}

impl Tally {
    fn add(&mut self, seed: u64, case: &Case, is_told: bool) {
        let ran = case.run_again(seed);
        let analysis = Analysis::new(sweep::swept(&case.machine, case.mode));
        let Some(holders) = analysis.holders() else { return };
        let mode = case.mode.as_str();
        let goes_on = |id: u64| ran.get(id as usize - 1).copied().unwrap_or(true);
        if is_told {
            println!("{:#?}", holders.waits());
            holders.never().for_each(|(task, never)| println!("{task:?} {never:?} {}", goes_on(task.0)));
            holders.cycles().iter().for_each(|cycle| println!("{cycle:?}"));
        }
        for (task, never) in holders.never() {
            let (right, wrong) = self.never.entry((mode, never.certainty)).or_default();
            if goes_on(task.0) { wrong.push(seed) } else { *right += 1 }
        }
        for cycle in holders.cycles() {
            let (right, wrong) = self.cycles.entry((mode, cycle.certainty)).or_default();
            let is_wrong = cycle.members.iter().any(|task| goes_on(task.0));
            if is_wrong { wrong.push(seed) } else { *right += 1 }
        }
        let told: Vec<u64> = holders.never().map(|(task, _)| task.0).collect();
        let lost = self.lost.entry(mode).or_default();
        for (id, _) in (1..).zip(&case.machine.tasks).filter(|(_, task)| task.status == Status::Waits) {
            if !goes_on(id) {
                lost[0] += 1;
                lost[1] += u64::from(told.contains(&id));
            }
        }
    }

    fn print(&self, cases: u64) -> ExitCode {
        let mut lies = 0;
        for (what, said) in [("never again", &self.never), ("a cycle", &self.cycles)] {
            for ((mode, certainty), (right, wrong)) in said {
                println!(
                    "{mode} mode, {certainty:?} {what}: {right} true, {} false, as of {:?}",
                    wrong.len(),
                    &wrong[..wrong.len().min(5)]
                );
                lies += if *certainty > Certainty::Possible { wrong.len() } else { 0 };
            }
        }
        for (mode, [lost, told]) in &self.lost {
            println!("{mode} mode: {lost} tasks went on in no order, {told} of them told");
        }
        let saw = self.lost.values().any(|[_, told]| *told > cases / 100);
        let passes = lies == 0 && saw;
        println!("{}: {cases} graphs, {lies} false above possible", if passes { "PASS" } else { "FAIL" });
        if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
