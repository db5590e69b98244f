//! Healthy only: a runtime that compiles what it meets for the first time. 400 functions, most of them in the first 15 s, each
//! with its code and its tables, which stay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Compiled {
    code: Vec<u8>,
    _tables: HashMap<u64, [u64; 4]>,
}

type Functions = Arc<Mutex<HashMap<u64, Compiled>>>;

fn compile(function: u64) -> Compiled {
    let code = vec![function as u8; 60_000 + zoo::mix(function) as usize % 60_000];
    zoo::held(code.len() as i64);
    let tables = (0..500).map(|line| (line, [function, line, 0, 0])).collect();
    Compiled { code, _tables: tables }
}

async fn call(functions: Functions, n: u64) -> usize {
    // Another part of the program begins every 1.5 s, ten parts in all.
    let begun = (n / 150 + 1).min(10) * 40;
    let function = zoo::mix(n) % begun;
    let length = functions.lock().unwrap().entry(function).or_insert_with(|| compile(function)).code.len();
    tokio::time::sleep(Duration::from_millis(2)).await;
    length
}

#[tokio::main]
async fn main() {
    zoo::start();
    let functions = Functions::default();
    zoo::every(10, |n| {
        diag::spawn(call(functions.clone(), n));
    })
    .await;
}
