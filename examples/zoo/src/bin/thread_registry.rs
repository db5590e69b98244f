//! Each thread that counts something has a table of its own in a list of all, so that counting needs no lock, and a thread is
//! started for each import. The tables of threads that ended stay in the list. The twin adds them up and takes them out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Table = Arc<Mutex<Vec<u64>>>;

static TABLES: Mutex<Vec<Table>> = Mutex::new(Vec::new());

const METRICS: usize = 2_500;

thread_local! {
    static MINE: Table = {
        let table = Arc::new(Mutex::new(vec![0; METRICS])); // FAULT
        TABLES.lock().unwrap().push(table.clone()); // FAULT
        zoo::held(METRICS as i64 * 8);
        table
    };
}

fn count(metric: usize) {
    MINE.with(|mine| mine.lock().unwrap()[metric] += 1);
}

fn import(file: usize) {
    for row in 0..50 {
        count((file + row) % METRICS);
        std::thread::sleep(Duration::from_millis(1));
    }
    if zoo::healthy() {
        let mine = MINE.with(Arc::clone);
        TABLES.lock().unwrap().retain(|table| !Arc::ptr_eq(table, &mine));
        zoo::held(METRICS as i64 * -8);
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(50, |file| {
        std::thread::spawn(move || import(file as usize));
    })
    .await;
}
