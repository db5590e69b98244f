//! The fault of sequelize#10976: who has a connection of the pool asks for a second one. When as many have one as there are,
//! nobody gets the second, and none comes back. The twin goes on with the connection that it has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// As many permits as connections.
type Pool = Arc<Semaphore>;

async fn audit(pool: &Pool) {
    let _connection = pool.acquire().await.unwrap(); // FAULT
    tokio::time::sleep(Duration::from_millis(2)).await;
}

async fn order(pool: Pool) {
    let transaction = pool.acquire().await.unwrap(); // FAULT
    tokio::time::sleep(Duration::from_millis(10)).await;
    if zoo::healthy() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    } else {
        audit(&pool).await; // FAULT
    }
    drop(transaction);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pool = Arc::new(Semaphore::new(10));
    zoo::every(25, |n| {
        // Every eight seconds the shop's newsletter sends a crowd.
        for _ in 0..if n % 320 == 319 { 30 } else { 1 } {
            diag::spawn(order(pool.clone())); // FAULT
        }
    })
    .await;
}
