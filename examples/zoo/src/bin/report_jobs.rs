//! Healthy only: every six seconds a report is worked out, which takes a core for two or three, in slices of a millisecond with
//! `yield_now` between them, so that nobody has to wait. It wakes itself all the time and is done in the end.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const SLICES: u64 = 2_200;
const ROWS: u64 = 400_000;

fn slice(report: u64, slice: u64) -> u64 {
    (slice * ROWS..(slice + 1) * ROWS).fold(report, |sum, row| sum ^ zoo::mix(row))
}

async fn report(number: u64) -> Vec<u64> {
    let mut sums = Vec::new();
    for n in 0..SLICES {
        sums.push(slice(number, n));
        tokio::task::yield_now().await;
    }
    sums
}

async fn reports() {
    for number in 0.. {
        let next = Instant::now() + Duration::from_secs(6);
        let _ = diag::spawn(report(number)).await;
        sleep_until(next).await;
    }
}

async fn request(n: u64) -> String {
    sleep(Duration::from_millis(n % 10)).await;
    format!("{n:>2000}")
}

#[tokio::main]
async fn main() {
    zoo::start();
    diag::spawn(reports());
    zoo::every(15, |n| {
        diag::spawn(request(n));
    })
    .await;
}
