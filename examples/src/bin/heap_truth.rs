//! The proof that the heap sampler tells the truth: the live bytes of an allocation site lie in its 95 % interval
//! 95 times in 100, and where every block is recorded they are exact to the byte.
//!
//! A run plants blocks at thirteen sites, on a new thread and on an old one, and knows what each site holds. Sites
//! are found in the snapshot by their function's name, as a reader finds them, and judged with the interval that
//! `diag diff` prints. A site that holds little for the rate must be right as often, so its interval is wide.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use diag_diff::stats::WeightedSum;
use diag_examples::progress;
use diag_snapshot::Snapshot;
use diag_snapshot::names::NamedStacks;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Plants live bytes of known size and counts how often the sampler's 95 % interval holds the truth.
#[derive(Parser)]
#[command(after_help = "Exit code 0: as often as it says. 1: not.")]
struct Args {
    /// Runs, each of which asks for thirteen sites.
    #[arg(long, default_value_t = 1_000)]
    cases: u32,
    /// Mean bytes between two samples; the sites hold so much for the default.
    #[arg(long, default_value_t = 16_384)]
    rate: u64,
}

/// A site is judged by the strict bar from so many samples on, in expectation.
const MANY_SAMPLES: f64 = 20.0;
const STRICT: std::ops::RangeInclusive<f64> = 0.935..=0.965;
const AT_LEAST: f64 = 0.95;

/// Blocks that a site holds.
type Held = Vec<Vec<u8>>;

/// A function of its own for each site, so that it has a name, and what it holds in the end.
macro_rules! sites {
    ($($name:ident: $count:literal blocks $how:expr;)*) => {
        $(#[inline(never)]
        fn $name(held: &mut Held) {
            // The room for them is the caller's.
            held.extend(black_box(0..$count).map($how));
        })*
        const SITES: &[(&str, fn(&mut Held))] = &[$((stringify!($name), $name)),*];
    };
}

sites! {
    planted_64: 12_000 blocks |_| Vec::with_capacity(64);
    planted_256: 4_000 blocks |_| vec![1; 256];
    planted_4_kib: 500 blocks |_| vec![0; 4_096];
    planted_large: 150 blocks |_| vec![0; 20_000];
    planted_grown: 600 blocks |_| grown(64, 2_048);
    planted_grown_large: 60 blocks |_| grown(1_000, 40_000);
    planted_mixed: 4_000 blocks |i| vec![1; 16 + i % 50 * 11];
    planted_churned: 300 blocks |i| { (0..9).for_each(|_| drop(black_box(vec![1_u8; 2_000]))); vec![1; 1_500 + i] };
    planted_few_64: 1_000 blocks |_| Vec::with_capacity(64);
    planted_few_4_kib: 10 blocks |_| vec![0; 4_096];
    planted_few_large: 20 blocks |_| vec![0; 16_384];
    planted_few_grown: 150 blocks |_| grown(16, 512);
    planted_one: 1 blocks |_| vec![1; 1_000];
}

/// A block that grows step by step, as a vector does that is pushed to.
fn grown(from: usize, to: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(from);
    while block.capacity() < to {
        let more = block.capacity() + block.capacity() / 2;
        block.reserve_exact(black_box(more.min(to)));
    }
    block
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!(args.cases >= 20, "--cases {}: too few to tell, give 200", args.cases);
    ensure!(args.rate > 0, "--rate 0 records every block: give the bytes between two samples");
    diag::heap::enable(args.rate)?;
    let mut score = Score::default();
    for case in 1..=args.cases {
        score.add(&Run::plant(), args.rate);
        if case % 20 == 0 {
            progress::show(&format!("{case} of {} runs", args.cases));
        }
    }
    progress::show("");
    diag::heap::enable(0)?;
    let exact = Run::plant().is_known_to_the_byte();
    writeln!(io::stdout(), "{}", score.in_words(args.cases, exact))?;
    Ok(if score.is_good() && exact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was held by each site when the snapshot was taken.
struct Run {
    truth: Vec<Vec<usize>>,
    found: Found,
}

/// The samples of each site: size and probability.
type Found = BTreeMap<&'static str, Vec<(f64, f64)>>;

impl Run {
    /// Plants every second site on a thread of its own, the others on this one.
    fn plant() -> Run {
        let held: Vec<Held> = std::thread::scope(|scope| {
            let plant = |i: usize| {
                let site = move || {
                    let mut held = Vec::with_capacity(12_000);
                    SITES[i].1(&mut held);
                    held
                };
                if i.is_multiple_of(2) { site() } else { scope.spawn(site).join().unwrap_or_default() }
            };
            (0..SITES.len()).map(plant).collect()
        });
        let truth = held.iter().map(|blocks| blocks.iter().map(Vec::capacity).collect()).collect();
        Run { truth, found: found(&diag::snapshot()) }
    }

    fn sites(&self) -> impl Iterator<Item = (&[usize], &[(f64, f64)])> {
        let found = |name| self.found.get(name).map_or(&[][..], Vec::as_slice);
        SITES.iter().zip(&self.truth).map(move |((name, _), truth)| (truth.as_slice(), found(name)))
    }

    /// Whether the samples of each site are its blocks, where every block is recorded.
    fn is_known_to_the_byte(&self) -> bool {
        let sum = |found: &[(f64, f64)]| found.iter().map(|(bytes, _)| bytes).sum::<f64>();
        self.sites().all(|(truth, found)| truth.len() == found.len() && bytes(truth) == sum(found))
    }
}

fn bytes(blocks: &[usize]) -> f64 {
    blocks.iter().sum::<usize>() as f64
}

/// Finds the samples of each site by the functions that their stacks pass through.
fn found(snapshot: &Snapshot) -> Found {
    let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let site_of = |stack| {
        let of =
            |function: &str| SITES.iter().find(|(name, _)| function.ends_with(name)).map(|(name, _)| *name);
        named.stack(stack).find_map(|place| of(&place.function))
    };
    let mut found = Found::new();
    for sample in snapshot.heap.iter().flat_map(|heap| heap.samples.iter()) {
        if let Some(site) = site_of(sample.stack) {
            found.entry(site).or_default().push((sample.size_bytes as f64, sample.probability()));
        }
    }
    found
}

/// How many intervals held the truth, and how many were asked.
#[derive(Default)]
struct Share {
    right: u32,
    asked: u32,
}

impl Share {
    fn of_one(&self) -> f64 {
        f64::from(self.right) / f64::from(self.asked.max(1))
    }
}

#[derive(Default)]
struct Score {
    many: Share,
    few: Share,
    estimate: f64,
    truth: f64,
}

impl Score {
    fn add(&mut self, run: &Run, rate: u64) {
        for (blocks, samples) in run.sites() {
            let truth = bytes(blocks);
            let mut sum = WeightedSum::default();
            samples.iter().for_each(|&(size, probability)| sum.add(size, probability));
            let interval = sum.interval(rate as f64);
            let expected: f64 = blocks.iter().map(|&size| -(-(size as f64) / rate as f64).exp_m1()).sum();
            let share = if expected >= MANY_SAMPLES { &mut self.many } else { &mut self.few };
            share.asked += 1;
            share.right += u32::from((interval.low..=interval.high).contains(&truth));
            self.estimate += sum.sum;
            self.truth += truth;
        }
    }

    fn is_good(&self) -> bool {
        STRICT.contains(&self.many.of_one()) && self.few.of_one() >= AT_LEAST
    }

    fn in_words(&self, cases: u32, exact: bool) -> String {
        let Score { many, few, estimate, truth } = self;
        format!(
            "{cases} runs of {} sites: {:.2} % of {} intervals from 20 samples on hold the truth (93.5 to 96.5), \
             {:.2} % of {} with fewer (at least 95), all estimates together are {:.4} of it; \
             every block recorded: {}. {}",
            SITES.len(),
            many.of_one() * 100.0,
            many.asked,
            few.of_one() * 100.0,
            few.asked,
            estimate / truth,
            if exact { "exact to the byte" } else { "NOT exact" },
            if self.is_good() && exact { "As promised." } else { "NOT as promised." },
        )
    }
}
