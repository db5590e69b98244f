//! A search asks six shards and joins all answers; one shard in forty never answers, and then the search, with the five answers
//! that it has, waits for good. The twin gives each shard half a second.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Answers are matched to questions by a table that forgets one in forty, and keeps its sender.
fn ask(question: u64) -> oneshot::Receiver<Vec<u8>> {
    let (answer, is_answered) = oneshot::channel();
    tokio::spawn(async move {
        sleep(Duration::from_millis(10 + zoo::mix(question) % 20)).await;
        if zoo::mix(question).is_multiple_of(40) {
            std::mem::forget(answer);
        } else {
            let _ = answer.send(vec![1; 3_000]);
        }
    });
    is_answered
}

async fn shard(question: u64) -> Option<Vec<u8>> {
    let answer = ask(question);
    if zoo::healthy() {
        return timeout(Duration::from_millis(500), answer).await.ok()?.ok();
    }
    answer.await.ok() // FAULT
}

async fn search(n: u64) -> usize {
    let answers = futures_util::future::join_all((0..6).map(|i| shard(n * 6 + i))).await; // FAULT
    answers.into_iter().flatten().map(|answer| answer.len()).sum()
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(30, |n| {
        diag::spawn(search(n)); // FAULT
    })
    .await;
}
