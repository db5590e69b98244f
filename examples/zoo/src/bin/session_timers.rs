//! Each renewal of a session starts a task that sleeps until the session expires, an hour from now, and forgets the one before.
//! A logout ends the last one only. The twin ends the one before with each renewal.

use std::time::Duration;

use diag::task::JoinHandle;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn expire(user: u64, token: Vec<u8>) -> u64 {
    tokio::time::sleep(Duration::from_secs(3600)).await; // FAULT
    user + token.len() as u64
}

fn renew(user: u64, timer: &mut Option<JoinHandle<u64>>) {
    let next = diag::spawn(expire(user, vec![7; 1_000])); // FAULT
    if let Some(before) = timer.replace(next)
        && zoo::healthy()
    {
        before.abort();
    }
}

async fn session(user: u64) {
    let mut timer = None;
    for _click in 0..10 {
        renew(user, &mut timer);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if let Some(timer) = timer {
        timer.abort();
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(200, |user| {
        diag::spawn(session(user));
    })
    .await;
}
