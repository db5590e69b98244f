//! The fault of neon#5472, hickory-dns#1809 and irpc#40: the accept loop spawns each connection into a `JoinSet` and never
//! joins.

use std::net::SocketAddr;
use std::time::Duration;

use diag::task::JoinSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn serve(mut peer: TcpStream) -> std::io::Result<[u8; 512]> {
    let mut request = [0; 512];
    let n = peer.read(&mut request).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    peer.write_all(&request[..n]).await?;
    Ok(request)
}

async fn accept(listener: TcpListener, healthy: bool) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            peer = listener.accept() => {
                let (peer, _) = peer.unwrap();
                connections.spawn(serve(peer)); // FAULT
            }
            Some(_done) = connections.join_next(), if healthy => {}
        }
    }
}

async fn clients(to: SocketAddr) {
    loop {
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await.unwrap();
            server.write_all(b"hello").await.unwrap();
            let _ = server.read(&mut [0; 16]).await;
        });
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    zoo::outside(move |tell| {
        tell.send(()).unwrap();
        clients(to)
    });
    accept(listener, healthy).await;
}
