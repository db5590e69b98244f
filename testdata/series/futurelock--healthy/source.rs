//! The fault of omicron#9259 (RFD 609): a request races its query against a timer by reference, and in the timer's arm
//! takes the same lock that the abandoned query is queued for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Ledger {
    rows: u64,
    slow: u64,
}
type Shared = Arc<Mutex<Ledger>>;

async fn query(db: Shared) -> u64 {
    let mut ledger = db.lock().await;
    sleep(Duration::from_millis(3)).await;
    ledger.rows += 1;
    ledger.rows
}

async fn note_slow(db: Shared) {
    let mut ledger = db.lock().await; // FAULT
    ledger.slow += 1;
}

async fn request(db: Shared, healthy: bool) -> u64 {
    let mut answer = Box::pin(query(db.clone()));
    tokio::select! {
        rows = &mut answer => return rows,
        () = sleep(Duration::from_millis(60)) => {
            if healthy {
                diag::spawn(note_slow(db));
            } else {
                note_slow(db).await; // FAULT
            }
        }
    }
    answer.await
}

async fn compaction(db: Shared) {
    loop {
        sleep(Duration::from_secs(3)).await;
        let ledger = db.lock().await;
        sleep(Duration::from_millis(100 + ledger.rows % 7)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let db = Shared::default();
    diag::spawn(compaction(db.clone()));
    let mut each = tokio::time::interval(Duration::from_millis(25));
    loop {
        each.tick().await;
        diag::spawn(request(db.clone(), healthy)); // FAULT
    }
}
