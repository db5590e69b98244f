//! What the census costs a program that churns arrow's buffers, which are aligned as tokio's tasks are: instructions of each
//! operation with and without it, and that no list of a snapshot is flooded.
//!
//! `cargo run --release --manifest-path examples/census/Cargo.toml --bin arrow`

use std::hint::black_box;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use arrow_buffer::{Buffer, MutableBuffer};
use diag_census::{INNER, INNER_NAME, Inner, Switch, per_operation};

#[global_allocator]
static ALLOC: diag::Alloc<Inner> = diag::Alloc::new(INNER);

/// So much more may the allocator's part of it cost, in percent.
const BAR: f64 = 10.0;

/// What is done again and again.
const WORKS: [(&str, fn()); 4] = [("small", small), ("line", line), ("grown", grown), ("batch", batch)];

/// A buffer of 64 bytes, as that of a short string or a bitmap.
fn small() {
    black_box(Buffer::from(MutableBuffer::with_capacity(black_box(64))));
}

/// One of 128 bytes, which may be a task as far as its size tells, and is entered.
fn line() {
    black_box(Buffer::from(MutableBuffer::with_capacity(black_box(128))));
}

/// One that a builder grows to 8 KiB, twice as large each time.
fn grown() {
    let mut buffer = MutableBuffer::with_capacity(64);
    for _ in 0..7 {
        buffer.reserve(black_box(buffer.capacity() + 1));
        // SAFETY: bytes that nobody reads before they are written, as they are not read at all.
        unsafe { buffer.set_len(buffer.capacity()) };
    }
    black_box(Buffer::from(buffer));
}

/// A column of a batch: 8,192 numbers, written once.
fn batch() {
    let mut buffer = MutableBuffer::with_capacity(8_192 * 8);
    (0..8_192_u64).for_each(|n| buffer.push(black_box(n)));
    black_box(Buffer::from(buffer));
}

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [] => measure(),
        [work, count] => {
            let _guard = diag::Builder::new().agent(false).start();
            let work = WORKS.iter().find(|(name, _)| name == work).context("no such work")?.1;
            let count: u64 = count.parse().context("a count")?;
            // The first thread's stack is not where the kernel says while valgrind runs it.
            std::thread::spawn(move || (0..count).for_each(|_| work())).join().ok().context("it panicked")?;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("arrow, or arrow WORK COUNT"),
    }
}

fn measure() -> Result<ExitCode> {
    let mut is_within = true;
    for (name, _) in WORKS {
        let [nothing, without, all] = [Switch::Nothing, Switch::WithoutCensus, Switch::All]
            .map(|switch| per_operation(name, [2_000, 12_000], switch));
        let (nothing, without, all) = (nothing?, without?, all?);
        let more = (all / without - 1.0) * 100.0;
        is_within &= more <= BAR;
        println!(
            "{name} over {INNER_NAME}: {nothing:.0} instructions, {without:.0} with diag, {all:.0} with its census: {more:+.1} %"
        );
    }
    is_within &= no_list_is_flooded();
    println!("{}", if is_within { "within the bar" } else { "ABOVE THE BAR" });
    Ok(ExitCode::from(u8::from(!is_within)))
}

/// A hundred thousand buffers that live are no task, channel or socket, and a snapshot with them is as large as one without.
fn no_list_is_flooded() -> bool {
    let _guard = diag::Builder::new().agent(false).start();
    let bytes = || diag::snapshot().to_bytes().len();
    let before = bytes();
    let buffers: Vec<Buffer> =
        (0..100_000).map(|_| Buffer::from(MutableBuffer::from_len_zeroed(100))).collect();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let after = bytes();
    let snapshot = diag::snapshot().to_bytes();
    let rows = diag_snapshot::read(&snapshot).map_or(usize::MAX, |(snapshot, _)| {
        snapshot.tasks.len()
            + snapshot.zombies.len()
            + snapshot.resources.len()
            + snapshot.resource_sites.len()
    });
    println!(
        "{} buffers that live: {rows} rows, {before} bytes of a snapshot before, {after} after",
        buffers.len()
    );
    rows == 0 && after < before * 2
}
