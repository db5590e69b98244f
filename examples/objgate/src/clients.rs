//! The clients of the gateway, in a process of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use diag_trial::outside;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use tokio::time::{interval, sleep, timeout};

use crate::client::REQUEST_ID;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Some of everything: the load of all faults, and healthy without one.
    Mixed,
    /// 10 to 30 downloads at once, up and down.
    Busy,
    /// Uploads whose three parts take 3 s each: a slow upload of 30 s, faster.
    Slow,
    /// Uploads whose clients go away, politely or not, with parts on their way.
    Aborts,
}

impl Load {
    /// Its name on the command line.
    pub fn name(self) -> String {
        diag_trial::name(&self)
    }
}

/// The store wants all parts but the last to be so large.
const PART: usize = 5 << 20;
const LAST_PART: usize = 16 << 10;
/// So many of one kind of client at once, as a rule; on a machine that is too busy more of them would only wait.
const FEW: usize = 12;
/// Of those that a fault keeps waiting.
const MANY: usize = 100;

/// Drives the gateway at this address until whoever started us has gone.
pub(crate) async fn drive(gateway: &str, load: Load) -> anyhow::Result<()> {
    let http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let clients =
        Clients { http, gateway: gateway.into(), part: Bytes::from(vec![7; PART]), next_id: Arc::default() };
    let is_told = Arc::new(AtomicBool::new(false));
    match load {
        Load::Mixed => mixed(&clients, &is_told),
        Load::Busy => drop(tokio::spawn(busy(clients))),
        Load::Slow => every(1500, FEW, &clients, |all, n| all.upload_whole(format!("slow-{n}"), 3)),
        Load::Aborts => aborts(&clients),
    }
    outside::say("driving")?;
    if outside::told_to_go_on().await {
        is_told.store(true, Ordering::Relaxed);
        outside::left_alone().await;
    }
    Ok(())
}

fn mixed(clients: &Clients, is_told: &Arc<AtomicBool>) {
    every(100, FEW, clients, |all, n| async move { all.get(&format!("/objects/small-{}", n % 8), n).await });
    every(100, MANY, clients, |all, n| async move { all.get(&format!("/objects/no-{n}"), n).await });
    every(400, FEW, clients, |all, n| async move { all.get(&format!("/previews/large-{}", n % 8), n).await });
    every(400, FEW, clients, |all, n| async move { all.get(&format!("/previews/small-{}", n % 8), n).await });
    every(200, FEW, clients, |all, n| async move { all.get(&format!("/sizes/small-{}", n % 8), n).await });
    every(400, MANY, clients, |all, n| async move { all.get(&format!("/sizes/stalled-{n}"), n).await });
    every(500, FEW, clients, |all, _| all.reload());
    every(2000, FEW, clients, |all, n| all.upload_with_a_break(format!("whole-{}", n % 8)));
    every(1000, MANY, clients, |all, n| all.upload_and_give_up(format!("glacial-{n}")));
    let is_told = is_told.clone();
    every(1000, FEW, clients, move |all, n| {
        let parts = if is_told.load(Ordering::Relaxed) && n % 2 == 0 { 0 } else { 1 };
        all.upload_and_vanish(format!("left-{n}"), parts)
    });
}

fn aborts(clients: &Clients) {
    every(200, MANY, clients, |all, n| all.upload_and_give_up(format!("glacial-{n}")));
    every(200, FEW, clients, |all, n| all.upload_and_hang_up(format!("glacial-h{n}")));
}

/// Keeps 10 to 30 downloads under way.
async fn busy(clients: Clients) {
    let under_way = Arc::new(Semaphore::new(30));
    let mut rounds = interval(Duration::from_millis(20));
    for n in 0u64.. {
        rounds.tick().await;
        // Up and down in 4 s.
        let wanted = 10 + (n % 200).abs_diff(100) as usize / 5;
        while 30 - under_way.available_permits() < wanted {
            let Ok(permit) = under_way.clone().try_acquire_owned() else { break };
            let all = clients.clone();
            tokio::spawn(async move {
                all.get(&format!("/objects/slow-{}", n % 8), n).await;
                drop(permit);
            });
        }
    }
}

/// Has a client come every so often, for ever, if not too many are there.
fn every<F: Future<Output = ()> + Send + 'static>(
    ms: u64,
    at_once: usize,
    clients: &Clients,
    client: impl Fn(Clients, u64) -> F + Send + 'static,
) {
    let clients = clients.clone();
    let at_once = Arc::new(Semaphore::new(at_once));
    tokio::spawn(async move {
        let mut rounds = interval(Duration::from_millis(ms));
        for n in 0.. {
            rounds.tick().await;
            let Ok(permit) = at_once.clone().acquire_owned().await else { return };
            let visit = client(clients.clone(), n);
            tokio::spawn(async move {
                visit.await;
                drop(permit);
            });
        }
    });
}

#[derive(Clone)]
struct Clients {
    http: Client<HttpConnector, Full<Bytes>>,
    gateway: Arc<str>,
    part: Bytes,
    next_id: Arc<AtomicU64>,
}

impl Clients {
    /// The answer to a request with an id of its own; none if there is none.
    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Option<(StatusCode, Bytes)> {
        self.ask_as(method, path, body, 0).await
    }

    async fn ask_as(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        tenant: u64,
    ) -> Option<(StatusCode, Bytes)> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.gateway))
            .header(REQUEST_ID, format!("{id:032x}"))
            .header("x-tenant", format!("tenant-{}", tenant % 8));
        let answer = self.http.request(request.body(Full::new(body)).ok()?).await.ok()?;
        let status = answer.status();
        Some((status, answer.into_body().collect().await.ok()?.to_bytes()))
    }

    async fn get(&self, path: &str, tenant: u64) {
        drop(self.ask_as(Method::GET, path, Bytes::new(), tenant).await);
    }

    async fn reload(self) {
        drop(self.ask(Method::POST, "/reload", Bytes::new()).await);
    }

    async fn open(&self, key: &str, parts: usize) -> Option<()> {
        let opened = self.ask(Method::POST, &format!("/uploads/{key}?parts={parts}"), Bytes::new()).await?;
        (opened.0 == StatusCode::CREATED).then_some(())
    }

    async fn put(&self, key: &str, part: usize, is_last: bool, again: bool) -> Option<(StatusCode, Bytes)> {
        let body = if is_last { self.part.slice(..LAST_PART) } else { self.part.clone() };
        self.ask(Method::PUT, &format!("/uploads/{key}/{part}?again={again}"), body).await
    }

    /// The parts that the gateway does not have yet.
    async fn missing(&self, key: &str) -> Option<Vec<usize>> {
        let (_, table) = self.ask(Method::GET, &format!("/uploads/{key}"), Bytes::new()).await?;
        let lines = String::from_utf8_lossy(&table).into_owned();
        let missing = |line: &str| line.strip_suffix(" missing")?.parse().ok();
        Some(lines.lines().filter_map(missing).collect())
    }

    async fn complete(&self, key: &str) {
        drop(self.ask(Method::POST, &format!("/uploads/{key}/complete"), Bytes::new()).await);
    }

    async fn upload_whole(self, key: String, parts: usize) {
        let Some(()) = self.open(&key, parts).await else { return };
        for part in 0..parts {
            self.put(&key, part, part + 1 == parts, false).await;
        }
        self.complete(&key).await;
    }

    /// Loses its line after the first part, comes back, and goes on with what is missing.
    async fn upload_with_a_break(self, key: String) {
        let Some(()) = self.open(&key, 2).await else { return };
        self.put(&key, 0, false, false).await;
        sleep(Duration::from_millis(200)).await;
        for part in self.missing(&key).await.unwrap_or_default() {
            self.put(&key, part, part == 1, true).await;
        }
        self.complete(&key).await;
    }

    /// Cancels while four parts are on their way, two of which are sent for the second time.
    async fn upload_and_give_up(self, key: String) {
        let Some(()) = self.open(&key, 4).await else { return };
        let parts = async {
            let put = |part| self.put(&key, part, true, part >= 2);
            tokio::join!(put(0), put(1), put(2), put(3))
        };
        let cancel = async {
            sleep(Duration::from_millis(300)).await;
            self.ask(Method::DELETE, &format!("/uploads/{key}"), Bytes::new()).await
        };
        tokio::join!(parts, cancel);
    }

    /// Hangs up with a part on its way, and never comes back.
    async fn upload_and_hang_up(self, key: String) {
        let Some(()) = self.open(&key, 2).await else { return };
        let _ = timeout(Duration::from_millis(300), self.put(&key, 0, true, false)).await;
    }

    async fn upload_and_vanish(self, key: String, parts: usize) {
        let Some(()) = self.open(&key, 4).await else { return };
        for part in 0..parts {
            self.put(&key, part, true, false).await;
        }
    }
}
