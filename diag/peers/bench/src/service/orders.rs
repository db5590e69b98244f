//! Tasks and messages: a service whose clients are tasks of its own.
//!
//! Connections ask, each one request after the other; every request is a task of its own that reads
//! its text into a map, asks the task that keeps the orders over a channel, and formats an answer.
//! There is no socket: what is left is what a recorder and an allocator can slow down.

use std::collections::HashMap;
use std::fmt::Write;
use std::marker::PhantomData;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::Service;
use crate::request::Flavor;
use crate::tasks::{self, Peer};

/// Connections at once: enough that both workers always have something to do.
const CONNECTIONS: u64 = 64;
const REQUESTS: u64 = 5_000;
/// Orders that are kept; each further one drops the oldest.
const KEPT: u64 = 2_000;
/// Lines of an answer.
const LINES: u64 = 8;

const ENDS: &str = "the service neither panics nor stops before its connections";

pub(super) struct Orders<P> {
    runtime: Runtime,
    peer: PhantomData<P>,
}

impl<P: Peer> Orders<P> {
    pub(super) fn new(peer: &P, flavor: Flavor) -> Self {
        Self { runtime: peer.build(tasks::builder(flavor)), peer: PhantomData }
    }
}

impl<P: Peer> Service for Orders<P> {
    fn batch(&self) -> u64 {
        REQUESTS
    }

    fn run(&mut self, requests: u64) -> u64 {
        tasks::on_a_worker(&self.runtime, async move {
            let (orders, asked) = mpsc::channel(CONNECTIONS as usize);
            let keeper = P::spawn(keep(asked));
            let share = |of: u64| requests / CONNECTIONS + u64::from(of < requests % CONNECTIONS);
            let connect = |user| P::spawn(connection::<P>(user, share(user), orders.clone()));
            let connections: Vec<_> = (0..CONNECTIONS).map(connect).collect();
            drop(orders);
            for connection in connections {
                connection.await.expect(ENDS);
            }
            keeper.await.expect(ENDS);
        });
        0
    }
}

/// A question to the keeper: the text of this order, please.
struct Ask {
    order: u64,
    reply: oneshot::Sender<String>,
}

/// Keeps the orders and answers questions about them, until nobody is left to ask.
async fn keep(mut asked: mpsc::Receiver<Ask>) {
    let mut orders: HashMap<u64, String> = HashMap::new();
    let mut asks = 0;
    while let Some(Ask { order, reply }) = asked.recv().await {
        asks += 1;
        let text = orders.entry(asks).or_insert_with(|| format!("order {order}, ask {asks}"));
        // A request that was given up has nobody who reads the answer.
        let _ = reply.send(text.clone());
        orders.remove(&asks.saturating_sub(KEPT));
    }
}

/// Asks so many requests, one after the other.
async fn connection<P: Peer>(user: u64, requests: u64, orders: mpsc::Sender<Ask>) {
    for number in 0..requests {
        let request = format!("GET /orders/{number}?user={user}&page={}&sort=price&filter=open", number % 10);
        let answer = P::spawn(handle(request, orders.clone())).await.expect(ENDS);
        let answer = answer.expect("the request is well formed");
        assert!(answer.starts_with("200 "), "{answer}");
    }
}

/// One request; none if its text cannot be read.
async fn handle(request: String, orders: mpsc::Sender<Ask>) -> Option<String> {
    let (path, query) = request.strip_prefix("GET ")?.split_once('?')?;
    let order = path.rsplit('/').next()?.parse().ok()?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters: HashMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let (reply, replied) = oneshot::channel();
    orders.send(Ask { order, reply }).await.ok()?;
    format_answer(&parameters, &replied.await.ok()?)
}

fn format_answer(parameters: &HashMap<String, String>, order: &str) -> Option<String> {
    let number = |key: &str| parameters.get(key)?.parse::<u64>().ok();
    let (user, page) = (number("user")?, number("page")?);
    let mut answer = format!("200 {order} of user {user}\n");
    for line in page * LINES..(page + 1) * LINES {
        writeln!(answer, "{line}: {:.2}", line as f64 * 1.19).ok()?;
    }
    Some(answer)
}
