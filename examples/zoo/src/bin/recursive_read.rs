//! The fault of matrix-rust-sdk#6839 and tokio#2849: a reader calls a function that reads again. Once a writer has asked
//! in between, the second read waits for the writer, the writer for the first read, and everybody else for both.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Room = Arc<RwLock<Vec<u64>>>;

async fn find_event(room: &Room, id: u64) -> Option<usize> {
    let events = room.read().await; // FAULT
    events.iter().position(|event| *event == id)
}

async fn thread_summary(room: Room, id: u64) -> Option<usize> {
    if zoo::healthy() {
        let last = room.read().await.last().copied();
        tokio::time::sleep(Duration::from_millis(3)).await;
        return find_event(&room, last.unwrap_or(id)).await;
    }
    let events = room.read().await; // FAULT
    tokio::time::sleep(Duration::from_millis(3)).await;
    find_event(&room, *events.last().unwrap_or(&id)).await // FAULT
}

async fn sync(room: Room, id: u64) {
    let mut events = room.write().await; // FAULT
    events.push(id);
    let excess = events.len().saturating_sub(100);
    events.drain(..excess);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let room = Room::default();
    zoo::every(20, |id| {
        diag::spawn(thread_summary(room.clone(), id)); // FAULT
        // The first ten seconds are quiet: the server sends nothing new.
        if id > 500 && id % 16 == 0 {
            diag::spawn(sync(room.clone(), id)); // FAULT
        }
    })
    .await;
}
