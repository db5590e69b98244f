//! An axum server behind sockets, and the clients that keep it busy.
//!
//! Every request is for an order as JSON: its path and query are read, the order is looked up in a map, made if it is
//! not there, and written. The clients are threads that allocate nothing; their CPU time is not the server's.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Service;
use crate::clock;
use crate::request::Flavor;
use crate::tasks::{self, Peer};

const REQUESTS: u64 = 2_048;
const CLIENTS: u64 = 2;
/// Connections of one client, all of which have a request on its way at the same time.
const CONNECTIONS: u64 = 16;
/// Orders that are kept; each further one drops the oldest.
const KEPT: u64 = 2_000;
/// Lines of an order.
const LINES: u64 = 8;

const ANSWERS: &str = "the server answers as long as it is asked";

pub(super) struct Web {
    clients: Vec<Client>,
}

impl Web {
    /// Starts the server, which runs as long as the process, and connects its clients.
    pub(super) fn start<P: Peer>(peer: &P, flavor: Flavor) -> Self {
        let mut builder = tasks::builder(flavor);
        builder.enable_io();
        let runtime = peer.build(builder);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        thread::spawn(move || {
            runtime.block_on(async { P::spawn(serve::<P>(listener)).await.expect(ANSWERS) })
        });
        Self { clients: (0..CLIENTS).map(|_| Client::connect(address)).collect() }
    }
}

impl Service for Web {
    fn batch(&self) -> u64 {
        REQUESTS
    }

    fn run(&mut self, requests: u64) -> u64 {
        let rounds = requests / (CLIENTS * CONNECTIONS);
        thread::scope(|scope| {
            let asking = self.clients.iter_mut().map(|client| scope.spawn(move || client.ask(rounds)));
            let asking: Vec<_> = asking.collect();
            asking.into_iter().map(|client| client.join().expect(ANSWERS)).sum()
        })
    }
}

async fn serve<P: Peer>(listener: TcpListener) {
    let router = Router::new().route("/orders/{number}", get(order::<P>)).with_state(Shop::default());
    axum::serve(listener, router).await.expect(ANSWERS);
}

type Shop = Arc<Mutex<HashMap<u64, String, BuildHasherDefault<DefaultHasher>>>>;

#[derive(Deserialize)]
struct Asked {
    user: u64,
    page: u64,
    sort: String,
}

#[derive(Serialize)]
struct Order {
    number: u64,
    name: String,
    user: u64,
    sort: String,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    item: String,
    price: f64,
}

/// The order is looked up by a task of its own, as a database would be asked.
async fn order<P: Peer>(
    State(shop): State<Shop>,
    Path(number): Path<u64>,
    Query(Asked { user, page, sort }): Query<Asked>,
) -> Json<Order> {
    let name = P::spawn(async move { named(&shop, number) }).await.expect(ANSWERS);
    let line = |at| Line { item: format!("item {at} of page {page}"), price: at as f64 * 1.19 };
    Json(Order { number, name, user, sort, lines: (page * LINES..(page + 1) * LINES).map(line).collect() })
}

fn named(shop: &Shop, number: u64) -> String {
    let mut orders = shop.lock().expect(ANSWERS);
    let name = orders.entry(number).or_insert_with(|| format!("order {number}")).clone();
    orders.remove(&number.saturating_sub(KEPT));
    name
}

/// A thread's connections.
struct Client {
    connections: Vec<TcpStream>,
    next: u64,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let connect = |_| TcpStream::connect(address).expect("the server listens");
        Self { connections: (0..CONNECTIONS).map(connect).collect(), next: 0 }
    }

    /// Asks so many times on each connection; gives the CPU time in nanoseconds that it took this new thread.
    fn ask(&mut self, rounds: u64) -> u64 {
        for _ in 0..rounds {
            for (user, connection) in self.connections.iter_mut().enumerate() {
                self.next += 1;
                send(connection, self.next, user);
            }
            self.connections.iter_mut().for_each(receive);
        }
        clock::thread_cpu_ns()
    }
}

fn send(connection: &mut TcpStream, number: u64, user: usize) {
    let mut request = [0; 256];
    let mut rest = &mut request[..];
    let page = number % 10;
    write!(
        rest,
        "GET /orders/{number}?user={user}&page={page}&sort=price HTTP/1.1\r\nhost: shop\r\naccept: */*\r\n\r\n"
    )
    .expect("a request is short");
    let room = rest.len();
    connection.write_all(&request[..request.len() - room]).expect(ANSWERS);
}

/// Reads one whole answer, which must be a good one.
fn receive(connection: &mut TcpStream) {
    let mut answer = [0; 4_096];
    let mut length = 0;
    while !is_whole(&answer[..length]) {
        let read = connection.read(&mut answer[length..]).expect(ANSWERS);
        assert_ne!(read, 0, "{ANSWERS}, and briefly");
        length += read;
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = str::from_utf8(&answer[..head]).expect("the head of an answer is text");
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let body: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .expect("an answer says how long it is");
    answer.len() >= head + 4 + body
}
