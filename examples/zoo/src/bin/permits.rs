//! The kind of fault of agave#10478: permits are given back by hand, and a path of errors forgets it. The last permit is lost
//! after about 20 s, and then all wait. The twin keeps the permit in a variable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn write(packet: u64) -> Result<u64, ()> {
    tokio::time::sleep(Duration::from_millis(4)).await;
    if packet % 25 == 24 { Err(()) } else { Ok(packet) }
}

async fn send(streams: Arc<Semaphore>, packet: u64) -> Result<u64, ()> {
    let permit = streams.acquire().await.map_err(drop)?; // FAULT
    if zoo::healthy() {
        return write(packet).await;
    }
    permit.forget(); // FAULT
    let written = write(packet).await?; // FAULT
    streams.add_permits(1);
    Ok(written)
}

#[tokio::main]
async fn main() {
    zoo::start();
    let streams = Arc::new(Semaphore::new(40));
    zoo::every(20, |packet| {
        diag::spawn(send(streams.clone(), packet)); // FAULT
    })
    .await;
}
