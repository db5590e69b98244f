//! The fault of hyper#4176: a server answers 413 before it has read the upload; the client's connection then neither
//! ends nor returns to the pool. The connection's task is hyper-util's, reached through reqwest.

use std::convert::Infallible;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

async fn upload(client: reqwest::Client, url: String, healthy: bool) -> u16 {
    let part = vec![7u8; 64 << 10]; // FAULT
    let parts = if healthy { 1 } else { 64 };
    let part = move |_| Ok::<_, Infallible>(Bytes::from(part.clone())); // FAULT
    let body = stream::iter((0..parts).map(part));
    let answer = client.post(url).body(reqwest::Body::wrap_stream(body)).send().await; // FAULT
    match answer {
        Ok(a) => {
            let status = a.status().as_u16();
            let _ = a.bytes().await;
            status
        }
        Err(_) => 0,
    }
}

/// The storage at the other end: it reads a little of an upload, refuses it, and keeps the connection. What was sent in full it
/// closes, what was not it forgets.
async fn storage(tell: Sender<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(format!("http://{}/objects", listener.local_addr().unwrap())).unwrap();
    loop {
        let (peer, _) = listener.accept().await.unwrap();
        tokio::spawn(refuse(peer));
    }
}

async fn refuse(mut peer: TcpStream) {
    let mut some = vec![0; 32 << 10];
    let _ = peer.read(&mut some).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let _ = peer.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nfull").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut seen = 0;
    while seen < 60 << 10 {
        match peer.try_read(&mut some) {
            Ok(n) if n > 0 => seen += n,
            _ => break,
        }
    }
    drop(some);
    if seen >= 33 << 10 {
        std::future::pending::<()>().await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let url = zoo::outside(storage);
    let client = reqwest::Client::new();
    let mut each = tokio::time::interval(Duration::from_millis(100));
    loop {
        each.tick().await;
        let (client, url) = (client.clone(), url.clone());
        diag::spawn(upload(client, url, healthy));
    }
}
