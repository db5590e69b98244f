//! The fault of grubbnet#11 and hyper#3685: a connection is read without a time limit. A peer that falls silent and never
//! closes keeps its task and its socket. The twin closes after 2 s of silence.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn serve(mut peer: TcpStream) -> std::io::Result<()> {
    let mut packet = [0; 1024];
    loop {
        let read = if zoo::healthy() {
            timeout(Duration::from_secs(2), peer.read(&mut packet)).await?
        } else {
            peer.read(&mut packet).await // FAULT
        };
        match read? {
            0 => return Ok(()),
            n => peer.write_all(&packet[..n]).await?,
        }
    }
}

async fn clients(to: SocketAddr) {
    let mut silent = Vec::new();
    for n in 0u64.. {
        let mut server = TcpStream::connect(to).await.unwrap();
        server.write_all(b"hello").await.unwrap();
        let _ = server.read(&mut [0; 16]).await;
        // The lid of a laptop was shut: no packet tells the server.
        if n % 20 == 19 {
            silent.push(server);
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    zoo::outside(move |tell| {
        tell.send(()).unwrap();
        clients(to)
    });
    loop {
        let (peer, _) = listener.accept().await.unwrap();
        diag::spawn(serve(peer)); // FAULT
    }
}
