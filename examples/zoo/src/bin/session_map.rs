//! The fault of rust-sdk#1244 (of the model context protocol): a session's worker ends when it is idle, and the session's entry
//! in the map stays. The twin removes it.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What the map knows of a session.
struct Session {
    _to_worker: mpsc::Sender<u64>,
    _history: Vec<u64>,
}

type Sessions = Arc<DashMap<u64, Session>>;

async fn worker(mut messages: mpsc::Receiver<u64>) {
    while let Ok(Some(_)) = timeout(Duration::from_millis(300), messages.recv()).await {}
}

async fn session(sessions: Sessions, id: u64) {
    let (to_worker, messages) = mpsc::channel(16); // FAULT
    let history = Vec::with_capacity(300); // FAULT
    sessions.insert(id, Session { _to_worker: to_worker.clone(), _history: history }); // FAULT
    zoo::held(2_400);
    let work = diag::spawn(worker(messages));
    for message in 0..3 {
        let _ = to_worker.send(message).await;
    }
    let _ = work.await;
    if zoo::healthy() {
        sessions.remove(&id);
        zoo::held(-2_400);
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let sessions = Sessions::default();
    let mut id = 0;
    zoo::pace(500, || {
        id += 1;
        diag::spawn(session(sessions.clone(), id));
    })
    .await;
}
