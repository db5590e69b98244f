//! The fault of neon#12875: a sender keeps the read guard of the state while it writes to its peer. The peer stops reading,
//! the guard stays, and after the first writer has asked, nobody reads either. The twin copies what it sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type State = Arc<RwLock<Vec<u8>>>;

async fn wal_sender(state: State, pageserver: SocketAddr) {
    let mut peer = TcpStream::connect(pageserver).await.unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if zoo::healthy() {
            let wal = state.read().await.clone();
            let _ = peer.write_all(&wal).await;
        } else {
            let wal = state.read().await; // FAULT
            let _ = peer.write_all(&wal).await; // FAULT
        }
    }
}

async fn append(state: State, lsn: u64) {
    state.write().await[lsn as usize % 64_000] = lsn as u8; // FAULT
}

async fn info(state: State) -> usize {
    state.read().await.len() // FAULT
}

/// The other end: it stops reading after a while, and stays connected.
async fn pageserver(tell: std::sync::mpsc::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut some = vec![0; 64_000];
    for _ in 0..400 {
        let _ = peer.read_exact(&mut some).await;
    }
    std::future::pending().await
}

#[tokio::main]
async fn main() {
    zoo::start();
    let state = Arc::new(RwLock::new(vec![0; 64_000]));
    diag::spawn(wal_sender(state.clone(), zoo::outside(pageserver))); // FAULT
    zoo::every(25, |lsn| {
        diag::spawn(append(state.clone(), lsn)); // FAULT
        diag::spawn(info(state.clone())); // FAULT
    })
    .await;
}
