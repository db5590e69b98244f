//! A server keeps the receiver of each session's events, by id, for when the client comes back, which many do not. The events
//! of all go on into the channels that nobody reads. The twin drops what was not asked for in 3 s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Sender = mpsc::UnboundedSender<Arc<str>>;
type Receiver = mpsc::UnboundedReceiver<Arc<str>>;

#[derive(Default)]
struct Hub {
    senders: Mutex<Vec<Sender>>,
    parked: Mutex<HashMap<u64, (Instant, Receiver)>>,
}

impl Hub {
    fn publish(&self, n: u64) {
        let mut senders = self.senders.lock().unwrap();
        for topic in 0..4 {
            let event: Arc<str> = format!("{topic} {n:0>800}").into(); // FAULT
            senders.retain(|to| to.send(event.clone()).is_ok()); // FAULT
        }
        if zoo::healthy() {
            self.parked.lock().unwrap().retain(|_, (since, _)| since.elapsed() < Duration::from_secs(3));
        }
    }
}

async fn session(hub: Arc<Hub>, id: u64) {
    let (to, mut events) = mpsc::unbounded_channel(); // FAULT
    hub.senders.lock().unwrap().push(to);
    for _ in 0..5 {
        let _ = events.recv().await;
    }
    hub.parked.lock().unwrap().insert(id, (Instant::now(), events)); // FAULT
}

#[tokio::main]
async fn main() {
    zoo::start();
    let hub = Arc::<Hub>::default();
    zoo::every(25, |n| {
        hub.publish(n);
        if n % 8 == 0 {
            diag::spawn(session(hub.clone(), n));
        }
    })
    .await;
}
