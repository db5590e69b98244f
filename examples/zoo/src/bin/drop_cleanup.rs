//! A lease gives its row back when it is dropped, by a task that it spawns, and all of these tasks want one connection: 40 leases
//! end each second, and the connection writes 25 rows. The twin writes all rows that wait at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Connection {
    waiting: std::sync::Mutex<Vec<u64>>,
    socket: Mutex<()>,
}

struct Lease {
    db: Arc<Connection>,
    row: u64,
}

async fn release(db: Arc<Connection>, row: u64) {
    db.waiting.lock().unwrap().push(row);
    let socket = db.socket.lock().await; // FAULT
    let is_written = {
        let mut waiting = db.waiting.lock().unwrap();
        let mine = waiting.iter().position(|waits| *waits == row);
        let rows = if zoo::healthy() { 0..waiting.len() } else { mine.map_or(0..0, |mine| mine..mine + 1) };
        mine.inspect(|_| drop(waiting.drain(rows))).is_none()
    };
    if !is_written {
        sleep(Duration::from_millis(39)).await;
    }
    drop(socket);
}

impl Drop for Lease {
    fn drop(&mut self) {
        diag::spawn(release(self.db.clone(), self.row)); // FAULT
    }
}

async fn job(lease: Lease) -> u64 {
    sleep(Duration::from_millis(30)).await;
    lease.row
}

#[tokio::main]
async fn main() {
    zoo::start();
    let db = Arc::new(Connection::default());
    zoo::every(25, |row| {
        diag::spawn(job(Lease { db: db.clone(), row }));
    })
    .await;
}
