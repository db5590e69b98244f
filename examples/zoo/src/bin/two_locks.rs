//! A deadlock: a transfer takes the locks of two accounts in the order of the transfer, so that two opposite ones each have
//! what the other waits for. The rest of the bank piles up behind them. The twin takes them in the order of their numbers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

const ACCOUNTS: usize = 28;

type Accounts = Arc<[Mutex<i64>; ACCOUNTS]>;

async fn transfer(accounts: Accounts, from: usize, to: usize) {
    let (first, second) = if zoo::healthy() { (from.min(to), from.max(to)) } else { (from, to) };
    let mut one = accounts[first].lock().await; // FAULT
    // Longer than until the next one comes: two that are opposite meet.
    tokio::time::sleep(Duration::from_millis(14)).await;
    let mut other = accounts[second].lock().await; // FAULT
    *one -= 1;
    *other += 1;
}

#[tokio::main]
async fn main() {
    zoo::start();
    let accounts: Accounts = Arc::new(std::array::from_fn(|_| Mutex::default()));
    zoo::every(12, |n| {
        let from = zoo::mix(n) as usize % ACCOUNTS;
        let to = (from + 1 + zoo::mix(n + (1 << 32)) as usize % (ACCOUNTS - 1)) % ACCOUNTS;
        diag::spawn(transfer(accounts.clone(), from, to)); // FAULT
    })
    .await;
}
