//! Address space is the service's: where it is limited, a service gets what it would get without diag but for a
//! sixteenth. Each limit in a process of its own, which asks for memory until there is none.

use std::hint::black_box;
use std::sync::{Arc, Barrier};

use diag_snapshot::AddressSpace;
use diag_test_support::again::again;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// `on` or `off`, and the limit in MiB.
const CHILD: &str = "ADDRESS_SPACE_CHILD";
const MIB: u64 = 1 << 20;
/// What the service asks for at once: less than what it may lose.
const PIECE_MIB: u64 = 4;
/// What it allocates for its own purposes, text and such, and the stacks of our threads.
const SLACK_MIB: u64 = 4;
const WORKERS: usize = 2;

/// As `ulimit -v` sets them.
const LIMITS_MIB: [u64; 10] = [500, 700, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 6_000, 8_000];

#[test]
fn a_service_gets_all_but_a_sixteenth() {
    if let Some(child) = std::env::var_os(CHILD) {
        let child = child.into_string().expect("text");
        let (diag, limit_mib) = child.split_once(' ').expect("two words");
        return service(diag == "on", limit_mib.parse().expect("a number"));
    }
    for limit_mib in LIMITS_MIB {
        let without = run("off", limit_mib)[0];
        let [with, tasks, samples, ..] = run("on", limit_mib)[..] else { panic!("four numbers") };
        let least = without - without / 16 - SLACK_MIB;
        assert!(with >= least, "limit {limit_mib} MiB: {without} MiB without diag, {with} with it");
        // It is smaller, not off: enough for a service of that size.
        assert!(tasks >= 16_384, "limit {limit_mib} MiB: {tasks} tasks");
        assert!(samples >= 1_024, "limit {limit_mib} MiB: {samples} samples");
    }
}

/// Runs this test again as a service; gives the numbers that it prints.
fn run(diag: &str, limit_mib: u64) -> Vec<u64> {
    let mut run = again("a_service_gets_all_but_a_sixteenth");
    let run = run.env(CHILD, format!("{diag} {limit_mib}")).output().expect("it runs");
    let text = String::from_utf8_lossy(&run.stdout);
    let said = text.lines().find_map(|line| line.split_once("got "));
    let Some((_, numbers)) = said.filter(|_| run.status.success()) else {
        panic!("{diag} {limit_mib}: {text} {}", String::from_utf8_lossy(&run.stderr));
    };
    numbers.split(' ').map(|number| number.parse().expect("a number")).collect()
}

#[expect(clippy::print_stdout, reason = "that is how it answers")]
fn service(with_diag: bool, limit_mib: u64) {
    let limit = libc::rlimit { rlim_cur: limit_mib * MIB, rlim_max: limit_mib * MIB };
    // SAFETY: a valid limit for the call to read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0, "a limit can be lowered");
    if with_diag {
        diag::Builder::new().addr(([127, 0, 0, 1], 0)).init();
    }
    // Each thread allocates before the service asks for more, or it would be chance how many arenas glibc reserves.
    let allocated = Arc::new(Barrier::new(1 + WORKERS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .on_thread_start({
            let allocated = allocated.clone();
            move || {
                drop(black_box(vec![0_u8; 100]));
                allocated.wait();
            }
        })
        .build()
        .expect("a runtime");
    allocated.wait();
    runtime.block_on(async {
        if with_diag {
            diag::spawn(async {}).await.expect("it ends");
        } else {
            tokio::spawn(async {}).await.expect("it ends");
        }
    });
    let space = if with_diag { said() } else { AddressSpace::default() };
    let mut pieces = Vec::with_capacity((limit_mib / PIECE_MIB) as usize);
    loop {
        let mut piece: Vec<u8> = Vec::new();
        if piece.try_reserve_exact((PIECE_MIB * MIB) as usize).is_err() {
            break;
        }
        pieces.push(piece);
    }
    let got_mib = pieces.len() as u64 * PIECE_MIB;
    drop(pieces);
    println!("got {got_mib} {} {}", space.tasks.unwrap_or(0), space.samples.unwrap_or(0));
}

/// What the snapshot tells of the choice.
fn said() -> AddressSpace {
    let space = diag::snapshot().into_model().capture.resources.address_space.expect("it is told");
    let limit_bytes = space.limit_bytes.expect("there is a limit");
    assert!(space.taken_bytes <= limit_bytes, "{space:?}");
    assert_eq!(space.refused, 0, "nothing is tried that is too much: {space:?}");
    space
}
