//! The proof that the heap sampler tells the truth: the live bytes of an allocation site, and all of them together,
//! lie in their 95 % interval 95 times in 100, their growth between two snapshots does at least as often, and where
//! every block is recorded both are exact to the byte.
//!
//! A run plants blocks at twenty-two sites, on a new thread and on an old one, looks, frees, grows and shrinks some,
//! plants more and looks again; it knows what each site holds. Sites are found in the snapshot by their function's
//! name, as a reader finds them, and judged with the intervals that `diag diff` prints. A site counts where it
//! was seen and need not have been: one of nothing but large blocks is known exactly.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::ensure;
use clap::Parser;
use diag_analysis::named_stacks::NamedStacks;
use diag_diff::stats::{Interval, WeightedSum};
use diag_examples::progress;
use diag_snapshot::{SampleRow, Snapshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Plants live bytes of known size and counts how often the sampler's 95 % intervals hold the truth.
#[derive(Parser)]
#[command(after_help = "Exit code 0: as often as it says. 1: not.")]
struct Args {
    /// Runs, each of which asks for twenty-two sites.
    #[arg(long, default_value_t = 1_000)]
    cases: u32,
    /// Mean bytes between two samples; the sites hold so much for the default.
    #[arg(long, default_value_t = 16_384)]
    rate: u64,
    /// Of the sizes, and of the sampler's dice; the clock's if not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// The sites are dealt out to so many services, each of which has a total of its own.
const SERVICES: usize = 4;
/// A block of so many rates is always seen: a site that has no smaller ones says nothing of the sampler.
const CERTAIN: f64 = 12.0;
const STRICT: std::ops::RangeInclusive<f64> = 0.935..=0.965;
const AT_LEAST: f64 = 0.935;
/// On either side.
const MISSES: f64 = 0.035;

/// Blocks that a site holds.
type Held = Vec<Vec<u8>>;

/// A function of its own for each site, so that it has a name: it changes what it holds, and adds to it.
macro_rules! sites {
    ($($name:ident: $count:literal blocks $how:expr;)*) => {
        $(#[inline(never)]
        fn $name(held: &mut Held, dice: &mut Dice) {
            change(held, dice);
            // The room for them is the caller's.
            for i in 0..black_box($count) / 2 {
                let how: fn(usize, &mut Dice) -> Vec<u8> = $how;
                held.push(how(i, dice));
            }
        })*
        const SITES: &[(&str, fn(&mut Held, &mut Dice))] = &[$((stringify!($name), $name)),*];
    };
}

sites! {
    planted_64: 12_000 blocks |_, _| Vec::with_capacity(64);
    planted_256: 4_000 blocks |_, _| vec![1; 256];
    planted_4_kib: 500 blocks |_, _| vec![0; 4_096];
    planted_large: 150 blocks |_, _| vec![0; 20_000];
    planted_grown: 600 blocks |_, _| through(&[64, 96, 144, 216, 324, 486, 729, 1_093, 1_639, 2_048]);
    planted_grown_large: 60 blocks |_, _| through(&[1_000, 2_250, 5_000, 11_000, 25_000, 40_000]);
    planted_mixed: 4_000 blocks |i, _| vec![1; 16 + i % 50 * 11];
    planted_churned: 300 blocks |i, _| {
        (0..9).for_each(|_| drop(black_box(vec![1_u8; 2_000])));
        vec![1; 1_500 + i]
    };
    planted_shrunk: 1_500 blocks |_, dice| through(&[4_096, dice.up_to(4_096)]);
    planted_boxed: 1_500 blocks |_, dice| {
        let mut bytes = Vec::with_capacity(2_000);
        bytes.resize(dice.up_to(2_000), 7);
        bytes.into_boxed_slice().into_vec()
    };
    planted_text: 3_000 blocks |i, dice| {
        let mut text = String::new();
        (0..dice.up_to(60)).for_each(|_| text += "a few words, ");
        drop(black_box(vec![1_u8; i % 7 + 1]));
        text.into_boxed_str().into_string().into_bytes()
    };
    planted_shrunk_large: 400 blocks |_, dice| through(&[100_000, dice.up_to(30_000)]);
    planted_shrunk_far: 4_000 blocks |_, _| through(&[16_000, 100]);
    planted_regrown: 800 blocks |_, dice| through(&[2_000, dice.up_to(200), 1_500]);
    planted_regrown_large: 200 blocks |_, dice| through(&[30_000, dice.up_to(1_000), 20_000, 400, 9_000]);
    planted_breathing: 400 blocks |_, _| through(&[100, 3_000, 100, 3_000, 100, 3_000, 100, 3_000]);
    planted_log: 400 blocks |_, dice| Vec::with_capacity(dice.between_powers(4.0, 17.0));
    planted_large_and_small: 900 blocks |i, _| vec![1; if i % 10 == 0 { 400_000 } else { 600 }];
    planted_few_small_beside_large: 60 blocks |i, _| vec![1; if i % 3 == 0 { 300_000 } else { 1_000 }];
    planted_few_64: 1_000 blocks |_, _| Vec::with_capacity(64);
    planted_few_large: 20 blocks |_, _| vec![0; 16_384];
    planted_one: 2 blocks |_, _| vec![1; 1_000];
}

/// A block that has had these sizes, and has the last one.
fn through(sizes: &[usize]) -> Vec<u8> {
    let mut block = Vec::new();
    sizes.iter().for_each(|&size| resize(&mut block, black_box(size)));
    block
}

fn resize(block: &mut Vec<u8>, size: usize) {
    if size < block.capacity() {
        block.shrink_to(size);
    } else {
        block.reserve_exact(size);
    }
}

/// Frees some of the blocks, and grows and shrinks others: in each run and of each site as many as its dice
/// say.
#[inline(always)]
fn change(held: &mut Held, dice: &mut Dice) {
    let (freed, resized, factor) =
        (dice.fraction().powi(3), dice.fraction().powi(2), dice.between_powers(0.0, 5.0));
    held.retain(|_| dice.fraction() >= freed);
    for block in held {
        if dice.fraction() < resized {
            let size = if dice.fraction() < 0.5 {
                block.capacity() / factor
            } else {
                block.capacity() + dice.up_to(2_000)
            };
            resize(block, size.max(1));
        }
    }
}

/// splitmix64, as the sampler has it.
struct Dice(u64);

impl Dice {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    /// From 0 to less than 1.
    fn fraction(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 1 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        1 + (self.word() % most as u64) as usize
    }

    /// A size of which the logarithm is equally likely to lie anywhere between these powers of two.
    fn between_powers(&mut self, least: f64, most: f64) -> usize {
        (least + self.fraction() * (most - least)).exp2() as usize
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    ensure!(args.cases >= 20, "--cases {}: too few to tell, give 200", args.cases);
    ensure!(args.rate > 0, "--rate 0 records every block: give the bytes between two samples");
    let clock =
        || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    let seed = args.seed.unwrap_or_else(clock);
    progress::show(&format!("seed {seed}"));
    diag::heap::enable(args.rate)?;
    let mut dice = Dice(seed);
    let mut score = Score::default();
    for case in 1..=args.cases {
        score.add(&Run::plant(&mut dice), args.rate as f64);
        if case % 20 == 0 {
            progress::show(&format!("{case} of {} runs", args.cases));
        }
    }
    progress::show("");
    diag::heap::enable(0)?;
    let exact = Run::plant(&mut dice).is_known_to_the_byte();
    writeln!(io::stdout(), "{}", score.in_words(args.cases, seed, exact))?;
    Ok(if score.is_good() && exact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was held by each site, and what of it was found, when the first snapshot was taken and when the second was.
struct Run {
    truth: [Vec<Vec<usize>>; 2],
    found: [Found; 2],
}

/// The samples of each site, by birth.
type Found = BTreeMap<&'static str, BTreeMap<u64, SampleRow>>;

impl Run {
    /// Plants, looks, changes and plants more, looks again: every second site on a thread of its own, the others on
    /// this one.
    fn plant(dice: &mut Dice) -> Run {
        let mut held: Vec<Held> = SITES.iter().map(|_| Vec::with_capacity(12_000)).collect();
        let mut step = || {
            // What this program allocates to look at a snapshot depends on addresses, and moves the countdown.
            diag::heap::testing::seed(dice.word());
            for (i, (held, (_, site))) in held.iter_mut().zip(SITES).enumerate() {
                let mut work = || site(held, dice);
                if i.is_multiple_of(2) {
                    work();
                } else {
                    std::thread::scope(|scope| drop(scope.spawn(work).join()));
                }
            }
            let sizes = |held: &Held| held.iter().map(Vec::capacity).collect::<Vec<_>>();
            (held.iter().map(sizes).collect(), found(&diag::snapshot().into_model()))
        };
        let (first, second) = (step(), step());
        Run { truth: [first.0, second.0], found: [first.1, second.1] }
    }

    /// Each site, at both times.
    fn sites(&self) -> impl Iterator<Item = [Site<'_>; 2]> {
        let at = move |time: usize, site: usize| Site {
            blocks: &self.truth[time][site],
            samples: self.found[time].get(SITES[site].0),
        };
        (0..SITES.len()).map(move |site| [at(0, site), at(1, site)])
    }

    /// Whether the samples of each site are its blocks, where every block is recorded.
    fn is_known_to_the_byte(&self) -> bool {
        self.sites().flatten().all(|site| {
            let mut sizes: Vec<u64> = site.samples().map(|sample| sample.size_bytes).collect();
            let mut blocks: Vec<u64> = site.blocks.iter().map(|&size| size as u64).collect();
            sizes.sort_unstable();
            blocks.sort_unstable();
            sizes == blocks
        })
    }
}

/// A site at one of the times.
#[derive(Clone, Copy)]
struct Site<'a> {
    blocks: &'a [usize],
    samples: Option<&'a BTreeMap<u64, SampleRow>>,
}

impl<'a> Site<'a> {
    fn bytes(&self) -> f64 {
        self.blocks.iter().sum::<usize>() as f64
    }

    fn samples(self) -> impl Iterator<Item = &'a SampleRow> {
        self.samples.into_iter().flat_map(BTreeMap::values)
    }

    fn live(self) -> WeightedSum {
        sum(self.samples())
    }

    /// The samples that are not the same in another snapshot, as `diag diff` tells them apart.
    fn not_in(self, other: Site<'a>) -> WeightedSum {
        let is_same = |sample: &SampleRow| {
            other
                .samples
                .and_then(|samples| samples.get(&sample.birth))
                .is_some_and(|other| other.size_bytes == sample.size_bytes)
        };
        sum(self.samples().filter(|sample| !is_same(sample)))
    }
}

fn sum<'a>(samples: impl Iterator<Item = &'a SampleRow>) -> WeightedSum {
    let mut sum = WeightedSum::default();
    samples.for_each(|sample| sum.add(sample.size_bytes as f64, sample.probability()));
    sum
}

/// Finds the samples of each site by the functions that their stacks pass through.
fn found(snapshot: &Snapshot) -> Found {
    let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let site_of = |stack| {
        let of = |function: &str| {
            let is_it = |name: &str| function.split("::").any(|part| part == name);
            SITES.iter().find(|(name, _)| is_it(name)).map(|(name, _)| *name)
        };
        named.stack(stack).find_map(|place| of(&place.function))
    };
    let mut found = Found::new();
    for sample in snapshot.heap.iter().flat_map(|heap| heap.samples.iter()) {
        if let Some(site) = site_of(sample.stack) {
            found.entry(site).or_default().insert(sample.birth, sample);
        }
    }
    found
}

/// How many intervals held the truth, and on which side the others missed it.
#[derive(Default)]
struct Share {
    asked: u32,
    /// The truth was less.
    below: u32,
    /// The truth was more.
    above: u32,
}

impl Share {
    fn ask(&mut self, truth: f64, interval: Interval) {
        // Sums of bytes are exact in a `f64`; those of weights are rounded.
        let rounding = truth.abs() * 1e-12;
        self.asked += 1;
        self.below += u32::from(truth < interval.low - rounding);
        self.above += u32::from(truth > interval.high + rounding);
    }

    fn of(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.asked.max(1))
    }

    fn right(&self) -> f64 {
        1.0 - self.of(self.below + self.above)
    }

    /// Not all on one side.
    fn is_balanced(&self) -> bool {
        self.of(self.below.max(self.above)) <= MISSES
    }

    fn in_words(&self) -> String {
        format!(
            "{:.2} % of {} ({:.2} % lie below, {:.2} % above)",
            self.right() * 100.0,
            self.asked,
            self.of(self.below) * 100.0,
            self.of(self.above) * 100.0,
        )
    }
}

#[derive(Default)]
struct Score {
    sites: Share,
    total: Share,
    growth: Share,
    total_growth: Share,
    /// Sites without blocks that could have been missed.
    certain: Share,
    estimate: f64,
    truth: f64,
}

/// Bytes of several sites together.
#[derive(Default)]
struct Together {
    live: WeightedSum,
    new: WeightedSum,
    gone: WeightedSum,
    truth: f64,
    growth: f64,
}

impl Score {
    fn add(&mut self, run: &Run, rate: f64) {
        let mut services: [Together; SERVICES] = Default::default();
        for (i, [before, after]) in run.sites().enumerate() {
            let (is, came, went) = (after.live(), after.not_in(before), before.not_in(after));
            if after.blocks.iter().all(|&size| size as f64 > rate * CERTAIN) {
                self.certain.ask(after.bytes(), is.interval(rate));
            } else if is.samples > 0 {
                self.sites.ask(after.bytes(), is.interval(rate));
            }
            let grown = after.bytes() - before.bytes();
            self.growth.ask(grown, came.interval_of_difference(&went, rate));
            let service = &mut services[i % SERVICES];
            service.live += is;
            service.new += came;
            service.gone += went;
            service.truth += after.bytes();
            service.growth += grown;
        }
        for Together { live, new, gone, truth, growth } in services {
            self.total.ask(truth, live.interval(rate));
            self.total_growth.ask(growth, new.interval_of_difference(&gone, rate));
            self.estimate += live.sum;
            self.truth += truth;
        }
    }

    fn is_good(&self) -> bool {
        [&self.sites, &self.total].iter().all(|share| STRICT.contains(&share.right()))
            && [&self.growth, &self.total_growth].iter().all(|share| share.right() >= AT_LEAST)
            && [&self.sites, &self.total, &self.growth, &self.total_growth]
                .iter()
                .all(|share| share.is_balanced())
    }

    fn in_words(&self, cases: u32, seed: u64, exact: bool) -> String {
        format!(
            "{cases} runs of {} sites, seed {seed}. The truth lies in the 95 % interval of the live bytes of {} \
             sampled sites and of {} totals (93.5 to 96.5), and in that of the growth of {} sites and of {} totals \
             (at least 93.5). All estimates together are {:.4} of it. Every block recorded: {}. {}",
            SITES.len(),
            self.sites.in_words(),
            self.total.in_words(),
            self.growth.in_words(),
            self.total_growth.in_words(),
            self.estimate / self.truth,
            if exact { "exact to the byte" } else { "NOT exact" },
            if self.is_good() && exact { "As promised." } else { "NOT as promised." },
        )
    }
}
