//! An actor tells itself what is still to be done, through its own mailbox, and waits for room there: once it is full, the only
//! one who could make room waits for it. The twin keeps such work in a list of its own.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

enum Message {
    Order { lines: u64, done: oneshot::Sender<u64> },
    Ship(u64),
}

async fn warehouse(me: mpsc::Sender<Message>, mut mailbox: mpsc::Receiver<Message>) {
    let mut own = VecDeque::new();
    loop {
        let message = match own.pop_front() {
            Some(message) => Some(message),
            None => mailbox.recv().await,
        };
        match message {
            Some(Message::Order { lines, done }) => {
                for line in 0..lines {
                    if zoo::healthy() {
                        own.push_back(Message::Ship(line));
                    } else {
                        let _ = me.send(Message::Ship(line)).await; // FAULT
                    }
                }
                let _ = done.send(lines);
            }
            Some(Message::Ship(line)) => tokio::time::sleep(Duration::from_micros(100 + line)).await,
            None => return,
        }
    }
}

async fn order(warehouse: mpsc::Sender<Message>, n: u64) -> Option<u64> {
    let (done, is_done) = oneshot::channel();
    // A large order comes now and then.
    let lines = if n % 400 == 399 { 80 } else { 3 };
    warehouse.send(Message::Order { lines, done }).await.ok()?;
    is_done.await.ok()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to, mailbox) = mpsc::channel(64);
    diag::spawn(warehouse(to.clone(), mailbox)); // FAULT
    zoo::every(20, |n| {
        diag::spawn(order(to.clone(), n));
    })
    .await;
}
