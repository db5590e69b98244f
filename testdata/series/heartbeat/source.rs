//! The fault of rs-clob-client-v2#40: each client of a websocket spawns a heartbeat that owns an `Arc` of the client. A
//! reconnect makes a new client, and dropping the old handle only detaches its heartbeat, which ticks on for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Client {
    beats: AtomicU64,
    book: Vec<u8>,
}

/// The task, and whether it ends with its client.
struct Heart(diag::task::JoinHandle<()>, bool);

impl Drop for Heart {
    fn drop(&mut self) {
        if self.1 {
            self.0.abort();
        }
    }
}

async fn heartbeat(client: Arc<Client>) {
    let mut each = tokio::time::interval(Duration::from_millis(500));
    loop {
        each.tick().await;
        client.beats.fetch_add(client.book.len() as u64, Ordering::Relaxed);
    }
}

async fn session(url: String, healthy: bool) {
    let client = Arc::new(Client { beats: AtomicU64::new(0), book: vec![1; 20_000] });
    let _heart = Heart(diag::spawn(heartbeat(client.clone())), healthy); // FAULT
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let _ = socket.send(Message::text("subscribe")).await;
    while let Some(Ok(Message::Text(_))) = socket.next().await {}
}

/// A flaky exchange: every connection lives for a fifth of a second.
async fn exchange(tell: Sender<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tell.send(format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
    loop {
        let (peer, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(peer).await.unwrap();
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(40)).await;
                if socket.send(Message::text("tick")).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let url = zoo::outside(exchange);
    loop {
        session(url.clone(), healthy).await;
    }
}
