//! The fault of ockam#1947: two workers with bounded mailboxes send to each other while they handle a message.
//!
//! `--timeout`: callers give up after a second, so that nothing piles up while the service is down.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

enum Msg {
    Order(u64, oneshot::Sender<u64>),
    Price(u64, oneshot::Sender<u64>),
    Note(#[expect(dead_code)] u64),
}

async fn orders(mut inbox: mpsc::Receiver<Msg>, prices: mpsc::Sender<Msg>) {
    while let Some(msg) = inbox.recv().await {
        tokio::time::sleep(Duration::from_micros(300)).await;
        match msg {
            Msg::Order(n, reply) => {
                let _ = prices.send(Msg::Price(n, reply)).await; // FAULT
            }
            Msg::Note(_) | Msg::Price(..) => {}
        }
    }
}

async fn prices(mut inbox: mpsc::Receiver<Msg>, orders: mpsc::Sender<Msg>, healthy: bool) {
    while let Some(msg) = inbox.recv().await {
        tokio::time::sleep(Duration::from_micros(900)).await;
        if let Msg::Price(n, reply) = msg {
            let _ = reply.send(n * 3);
            if healthy {
                let _ = orders.try_send(Msg::Note(n));
            } else {
                let _ = orders.send(Msg::Note(n)).await; // FAULT
            }
        }
    }
}

async fn request(n: u64, orders: mpsc::Sender<Msg>) -> u64 {
    let (reply, answer) = oneshot::channel();
    let _ = orders.send(Msg::Order(n, reply)).await;
    answer.await.unwrap_or(0)
}

#[tokio::main]
async fn main() {
    zoo::start();
    let healthy = zoo::healthy();
    let timeout = zoo::flag("--timeout");
    let (to_orders, orders_inbox) = mpsc::channel(16);
    let (to_prices, prices_inbox) = mpsc::channel(16);
    diag::spawn(orders(orders_inbox, to_prices)); // FAULT
    diag::spawn(prices(prices_inbox, to_orders.clone(), healthy)); // FAULT
    let mut each = tokio::time::interval(Duration::from_millis(20));
    for n in 0.. {
        each.tick().await;
        // Once in a while a burst, as traffic has.
        for _ in 0..if n % 250 == 249 { 120 } else { 1 } {
            let one = request(n, to_orders.clone());
            if timeout {
                diag::spawn(tokio::time::timeout(Duration::from_secs(1), one));
            } else {
                diag::spawn(one);
            }
        }
    }
}
