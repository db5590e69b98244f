//! The fault of vector#12472: each reload of the configuration starts a new watcher, and nobody ends the old one, which goes on
//! watching. The twin ends it.

use std::time::Duration;

use diag::task::JoinHandle;
use tokio::sync::watch;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn watcher(mut pods: watch::Receiver<u64>, namespace: String) {
    let mut state = vec![0u64; 4_000];
    while pods.changed().await.is_ok() {
        let revision = *pods.borrow_and_update();
        state[revision as usize % 4_000] = namespace.len() as u64;
    }
}

fn reload(pods: &watch::Receiver<u64>, revision: u64, running: &mut Option<JoinHandle<()>>) {
    let next = diag::spawn(watcher(pods.clone(), format!("logging-{revision}"))); // FAULT
    if let Some(old) = running.replace(next)
        && zoo::healthy()
    {
        old.abort();
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (cluster, pods) = watch::channel(0);
    diag::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            cluster.send_modify(|revision| *revision += 1);
        }
    });
    let mut running = None;
    zoo::every(400, |revision| reload(&pods, revision, &mut running)).await;
}
