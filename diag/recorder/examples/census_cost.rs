//! What the census costs a task that a library spawns: its cell is entered with its stack, and taken out when it ends.
//!
//! Tasks are spawned with tokio alone and awaited, by a task on a runtime of two workers, from one place and from eight in
//! turn, by 4 and by 16 threads at once. Each round is a process of its own, one with `DIAG_CENSUS=off` and one without,
//! by turns; a figure is CPU time of the process, the median of the rounds. Run:
//! `cargo run --release -p diag --example census_cost`
#![expect(clippy::print_stdout, reason = "prints a table")]

use std::hint::black_box;
use std::process::Command;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

const ROUNDS: usize = 7;
const TASKS: u64 = 200_000;
const CASES: [(&str, Case); 4] = [
    ("one place", Case { places: 1, spawners: 1 }),
    ("8 places in turn", Case { places: 8, spawners: 1 }),
    ("8 places, 4 spawners", Case { places: 8, spawners: 4 }),
    ("8 places, 16 spawners", Case { places: 8, spawners: 16 }),
];

#[derive(Clone, Copy)]
struct Case {
    places: u64,
    spawners: u64,
}

fn main() {
    if let Some(case) = std::env::args().nth(1).and_then(|case| case.parse::<usize>().ok()) {
        return println!("{}", measure(CASES[case].1));
    }
    println!("{:<24}{:>12}{:>12}{:>12}", "CPU ns a task", "off", "on", "added");
    for (number, (name, _)) in CASES.iter().enumerate() {
        let mut all = [Vec::new(), Vec::new()];
        for round in 0..2 * ROUNDS {
            let switch = ["off", "on"][round % 2];
            all[round % 2].push(run(number, switch));
        }
        let [off, on] = all.map(|mut rounds| {
            rounds.sort_unstable();
            rounds[ROUNDS / 2]
        });
        println!("{name:<24}{off:>12}{on:>12}{:>12}", on as i64 - off as i64);
    }
}

fn run(case: usize, census: &str) -> u64 {
    let mut run = Command::new(std::env::current_exe().expect("it has a path"));
    let run = run.arg(case.to_string()).env("DIAG_CENSUS", census).env("DIAG_ADDR", "off").output();
    let text = run.expect("it runs").stdout;
    String::from_utf8(text).expect("a text").trim().parse().expect("a number")
}

/// CPU time of a task that is spawned and awaited.
fn measure(case: Case) -> u64 {
    diag::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let spawners = |tasks: u64| {
        runtime.block_on(async {
            let all: Vec<_> =
                (0..case.spawners).map(|_| tokio::spawn(spawn_all(case.places, tasks))).collect();
            for spawner in all {
                spawner.await.expect("no panic");
            }
        });
    };
    spawners(1_000);
    let before = cpu_ns();
    spawners(TASKS / case.spawners);
    (cpu_ns() - before) / TASKS
}

async fn spawn_all(places: u64, tasks: u64) {
    let mut turn = 0;
    for _ in 0..tasks {
        turn = (turn + 1) % places;
        let task = match turn {
            0 => tokio::spawn(work(0)),
            1 => tokio::spawn(work(1)),
            2 => tokio::spawn(work(2)),
            3 => tokio::spawn(work(3)),
            4 => tokio::spawn(work(4)),
            5 => tokio::spawn(work(5)),
            6 => tokio::spawn(work(6)),
            _ => tokio::spawn(work(7)),
        };
        task.await.expect("no panic");
    }
}

async fn work(number: u64) -> u64 {
    black_box(number)
}

fn cpu_ns() -> u64 {
    // SAFETY: `time` is a valid place to fill.
    unsafe {
        let mut time = std::mem::zeroed::<libc::timespec>();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}
