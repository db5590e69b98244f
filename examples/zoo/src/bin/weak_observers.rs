//! A list of weak references to observers is never cleared of those that are gone. A weak reference keeps the memory of its
//! value, which here is large and inline. The twin clears the list.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Observer {
    last_frame: [u8; 12_000],
}

type Observers = Arc<Mutex<Vec<Weak<Observer>>>>;

async fn visit(observers: Observers, n: u64) -> u8 {
    let observer = Arc::new(Observer { last_frame: [n as u8; 12_000] }); // FAULT
    observers.lock().unwrap().push(Arc::downgrade(&observer)); // FAULT
    zoo::held(12_000);
    tokio::time::sleep(Duration::from_millis(40)).await;
    observer.last_frame[n as usize % 12_000]
}

fn prune(observers: &Observers) {
    let mut observers = observers.lock().unwrap();
    let before = observers.len();
    observers.retain(|observer| observer.strong_count() > 0);
    zoo::held(-12_000 * (before - observers.len()) as i64);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let observers = Observers::default();
    zoo::every(5, |n| {
        diag::spawn(visit(observers.clone(), n));
        if zoo::healthy() && n % 50 == 0 {
            prune(&observers);
        }
    })
    .await;
}
