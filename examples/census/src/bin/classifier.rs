//! What the census takes the blocks of crates for that it has not seen, over another allocator: each of tokio's is told, and none of
//! the others is taken for one of these, also after others have lain at their addresses.
//!
//! `cargo run --release --manifest-path examples/census/Cargo.toml --features mimalloc --bin classifier`, or with `jemalloc`.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use arrow_buffer::MutableBuffer;
use diag::heap::testing::census;
use diag_census::{INNER, INNER_NAME, Inner};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::transport::Endpoint;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

#[global_allocator]
static ALLOC: diag::Alloc<Inner> = diag::Alloc::new(INNER);

/// Longer than what was allocated a moment ago is new.
const OLD: Duration = Duration::from_millis(60);
const ROUNDS: usize = 10;
/// In percent.
const MOST_UNKNOWN: f64 = 2.0;

/// How many blocks of each truth were told what.
#[derive(Default)]
struct Told(BTreeMap<(&'static str, &'static str), usize>);

impl Told {
    /// Adds the blocks that are there now and were not before, which are all of this kind; how many there were.
    fn add(&mut self, before: &HashMap<u64, &'static str>, truth: &'static str) -> usize {
        let new = kinds().into_iter().filter(|(birth, _)| !before.contains_key(birth));
        new.map(|(_, told)| *self.0.entry((truth, told)).or_default() += 1).count()
    }

    fn sum(&self, is_it: impl Fn(&'static str, &'static str) -> bool) -> usize {
        self.0.iter().filter(|((truth, told), _)| is_it(truth, told)).map(|(_, count)| count).sum()
    }
}

fn kinds() -> HashMap<u64, &'static str> {
    census().into_iter().map(|block| (block.birth, block.kind)).collect()
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let _guard = diag::Builder::new().agent(false).start();
    let mut told = Told::default();
    for _ in 0..ROUNDS {
        churn().await?;
        let before = kinds();
        let tasks = tasks();
        sleep(OLD).await;
        told.add(&before, "Task");
        let before = kinds();
        let channels = channels();
        sleep(OLD).await;
        told.add(&before, "Channel");
        let before = kinds();
        let sockets = sockets().await?;
        sleep(OLD).await;
        told.add(&before, "Socket");
        let before = kinds();
        let others = others();
        sleep(OLD).await;
        told.add(&before, "Unknown");
        tasks.iter().for_each(JoinHandle::abort);
        drop((channels, sockets, others));
        streams(&mut told).await?;
    }
    Ok(verdict(&told))
}

fn verdict(told: &Told) -> ExitCode {
    let all = told.sum(|_, _| true);
    let unknown = told.sum(|truth, told| truth != "Unknown" && told == "Unknown");
    let wrong = told.sum(|truth, told| truth != told && told != "Unknown");
    let of_tokio = told.sum(|truth, _| truth != "Unknown");
    let percent = unknown as f64 / of_tokio.max(1) as f64 * 100.0;
    println!("over {INNER_NAME}: {:?}", told.0);
    println!("{all} blocks, {wrong} wrong; of tokio's {of_tokio}, {unknown} unknown ({percent:.1} %)");
    let is_good = wrong == 0 && percent <= MOST_UNKNOWN && of_tokio > 1_000 && all > of_tokio + 1_000;
    println!("{}", if is_good { "all told" } else { "NOT ALL TOLD" });
    ExitCode::from(u8::from(!is_good))
}

/// Leaves what tasks, channels and buffers held at addresses that others get.
async fn churn() -> Result<()> {
    let tasks: Vec<JoinHandle<()>> = (0..2_000).map(|n| tokio::spawn(async move { _ = [n; 40] })).collect();
    drop((0..500).map(|_| mpsc::channel::<u64>(4)).collect::<Vec<_>>());
    drop((1..500).map(|n| MutableBuffer::from_len_zeroed(n * 7)).collect::<Vec<_>>());
    for task in tasks {
        task.await?;
    }
    Ok(())
}

async fn holds<const N: usize>() {
    let held = [1_u8; N];
    std::future::pending::<()>().await;
    std::hint::black_box(held);
}

fn tasks() -> Vec<JoinHandle<()>> {
    let some = |_| [tokio::spawn(holds::<1>()), tokio::spawn(holds::<200>()), tokio::spawn(holds::<3000>())];
    let ended = (0..20).map(|_| tokio::spawn(async {}));
    (0..20).flat_map(some).chain(ended).collect()
}

fn channels() -> impl Sized {
    let bounded: Vec<_> = (0..20).map(|_| mpsc::channel::<[u64; 30]>(8)).collect();
    let unbounded: Vec<_> = (0..20)
        .map(|n| {
            let (sender, receiver) = mpsc::unbounded_channel();
            (0..n).for_each(|n| _ = sender.send(n));
            (sender, receiver)
        })
        .collect();
    (bounded, unbounded)
}

async fn sockets() -> Result<impl Sized> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut connections = Vec::new();
    for _ in 0..10 {
        let client = TcpStream::connect(listener.local_addr()?).await?;
        connections.push((client, listener.accept().await?.0));
    }
    Ok((listener, connections, UnixStream::pair()?))
}

/// Aligned as tokio's blocks, and none of them.
fn others() -> impl Sized {
    let crossbeam: Vec<_> = (0..20).map(|_| crossbeam_channel::bounded::<u64>(8)).collect();
    let crossbeam_unbounded: Vec<_> = (0..20)
        .map(|_| {
            let (sender, receiver) = crossbeam_channel::unbounded::<u64>();
            (0..50).for_each(|n| _ = sender.send(n));
            (sender, receiver)
        })
        .collect();
    let of_async: Vec<_> = (0..20).map(|_| async_channel::bounded::<u8>(8)).collect();
    let of_std: Vec<_> = (0..20).map(|_| std::sync::mpsc::channel::<u8>()).collect();
    let maps: Vec<_> = (0..4)
        .map(|_| {
            let map = dashmap::DashMap::new();
            (0..100).for_each(|n| _ = map.insert(n, n));
            map
        })
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let buffers: Vec<_> = (0..200).map(|n| MutableBuffer::from_len_zeroed(n * 64)).collect();
    let uninitialized: Vec<_> = (1..200).map(|n| MutableBuffer::with_capacity(n * 128)).collect();
    (crossbeam, crossbeam_unbounded, of_async, of_std, maps, pool, buffers, uninitialized)
}

/// Tasks of tonic, as many as tokio counts.
async fn streams(told: &mut Told) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    let server = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Endpoint::new(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    let mut streams: Vec<tonic::Streaming<HealthCheckResponse>> = Vec::new();
    for _ in 0..10 {
        streams.push(client.watch(HealthCheckRequest::default()).await?.into_inner());
    }
    sleep(2 * OLD).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let alive = metrics.num_alive_tasks();
    let tasks = census()
        .into_iter()
        .filter(|block| block.has_ended == Some(false) && block.is_blocking == Some(false));
    let tasks = tasks.count();
    *told.0.entry(("Task", "Task")).or_default() += alive.min(tasks);
    *told.0.entry(("Task", "Unknown")).or_default() += alive.saturating_sub(tasks);
    *told.0.entry(("Unknown", "Task")).or_default() += tasks.saturating_sub(alive);
    drop((streams, client));
    server.abort();
    server.await.err().context("it was aborted")?;
    sleep(OLD).await;
    Ok(())
}
