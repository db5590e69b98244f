//! A thread that lives near the end of its stack lives as deep with the sampler as without: no call stack is taken where
//! there is hardly any left. Each try is a process of its own, as the end of a stack is the end of the process.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;

use diag_test_support::again::again;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const CHILD: &str = "HEAP_STACK_END_CHILD";
const TEST: &str = "a_thread_lives_as_deep_as_without_the_sampler";
/// How much less deep it may be: what a sample needs without its call stack, and no more than malloc needs by itself.
const FEW_BYTES: usize = 2 << 10;

/// Words on the stack of each call.
const WORDS: usize = 16;

#[test]
fn a_thread_lives_as_deep_as_without_the_sampler() {
    if let Ok(case) = std::env::var(CHILD) {
        return live(&case);
    }
    for kib in [16, 32, 64] {
        let (plain, sampled) = (deepest("off", kib), deepest("on", kib));
        let frame = frame_bytes();
        let lost = plain.saturating_sub(sampled) * frame;
        assert!(plain > 20, "{kib} KiB: {plain} calls of {frame} bytes");
        assert!(
            lost <= FEW_BYTES,
            "{kib} KiB: {plain} calls of {frame} bytes, and {sampled} with the sampler"
        );
    }
}

/// The most calls that are survived.
fn deepest(sampler: &str, kib: usize) -> usize {
    let (mut lives, mut dies) = (0, (kib << 10) / (8 * WORDS) + 1);
    while dies - lives > 1 {
        let depth = usize::midpoint(lives, dies);
        let end = run(&format!("{sampler} {kib} {depth}"));
        assert!(end.success() || end.signal().is_some(), "{sampler} {kib} {depth}: {end:?}");
        if end.success() { lives = depth } else { dies = depth }
    }
    lives
}

fn run(case: &str) -> ExitStatus {
    let mut run = again(TEST);
    run.env(CHILD, case);
    run.output().expect("it runs").status
}

/// One process: whether every block is recorded, how large the thread's stack is, and how deep it goes.
fn live(case: &str) {
    let words: Vec<&str> = case.split(' ').collect();
    let [sampler, kib, depth] = words[..] else { panic!("three words") };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    if sampler == "on" {
        diag::heap::enable(0).expect("the test machine has address space");
    }
    let depth = number(depth);
    let thread = thread::Builder::new().stack_size(number(kib) << 10).spawn(move || {
        // Whatever else the allocator does once is done up here.
        drop(black_box(Box::new([0_u8; 40])));
        call(depth)
    });
    assert_eq!(thread.expect("a thread").join().expect("no panic"), depth as u64);
    // All of so small a stack is near its end: what is not recorded of its blocks is counted.
    if (sampler, kib) == ("on", "16") {
        let dropped = diag::snapshot().into_model().capture.dropped;
        let near_end = ["heap_samples_near_stack_end", "heap_samples_at_stack_end"];
        assert!(near_end.iter().any(|name| dropped.contains_key(*name)), "{dropped:?}");
    }
}

#[inline(never)]
fn call(depth: usize) -> u64 {
    let words = black_box([depth as u64; WORDS]);
    if depth == 0 {
        let block = black_box(Box::new([7_u8; 40]));
        return u64::from(block[3]) - 7;
    }
    black_box(call(depth - 1)) + words[3] / depth as u64
}

/// How far apart the calls lie.
fn frame_bytes() -> usize {
    #[inline(never)]
    fn address(depth: usize) -> usize {
        let words = black_box([depth as u64; WORDS]);
        if depth == 0 {
            return words.as_ptr().addr();
        }
        black_box(address(depth - 1)) + (words[3] - words[4]) as usize
    }
    address(0).abs_diff(address(64)) / 64
}
