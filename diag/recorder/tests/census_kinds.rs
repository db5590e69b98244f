//! What each block of the census is: real objects of tokio and of others, each made with the census looked at before and
//! after. Nothing is told wrongly, and of tokio's nothing is unknown.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::async_yields_async, reason = "handles are what is made")]

use std::collections::{BTreeMap, HashSet};
use std::future::{Future, pending};
use std::hint::black_box;
use std::time::Duration;

use diag::heap::testing::{CensusBlock, census};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, LocalSet};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// Longer than what was allocated a moment ago is new.
const OLD: Duration = Duration::from_millis(60);

/// What was made, by the kind that it should be told to be: how many there were, and how many were told what.
#[derive(Default)]
struct Truth(BTreeMap<(&'static str, &'static str), usize>);

impl Truth {
    /// What `make` makes is so many blocks of this kind, and perhaps others which the runtime makes besides.
    async fn check<F: Future>(
        &mut self,
        kind: &'static str,
        count: usize,
        make: impl FnOnce() -> F,
    ) -> F::Output {
        let before: HashSet<u64> = census().iter().map(|block| block.birth).collect();
        let made = make().await;
        tokio::time::sleep(OLD).await;
        let new: Vec<CensusBlock> =
            census().into_iter().filter(|block| !before.contains(&block.birth)).collect();
        assert_eq!(new.len(), count, "of {kind}: {new:#?}");
        for block in new {
            *self.0.entry((kind, block.kind)).or_default() += 1;
        }
        made
    }

    fn finish(&self) {
        let wrong: Vec<_> = self.0.iter().filter(|((is, told), _)| is != told).collect();
        assert!(wrong.is_empty(), "{wrong:#?} of {:#?}", self.0);
    }
}

fn of_bytes<const N: usize>() -> impl Future<Output = ()> + Send + 'static {
    let held = [1_u8; N];
    async move {
        pending::<()>().await;
        black_box(held);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_is_told() {
    let diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    assert!(diag.problems().is_empty(), "{:?}", diag.problems());
    drop(census());
    let dropped = diag::snapshot().into_model().capture.dropped_sentences;
    assert!(!dropped.contains_key("part_failed (census)"), "all was learnt: {dropped:#?}");
    let mut truth = Truth::default();
    tasks(&mut truth).await;
    channels(&mut truth).await;
    sockets(&mut truth).await;
    others(&mut truth).await;
    truth.finish();
}

async fn tasks(truth: &mut Truth) {
    macro_rules! sizes {
        ($($bytes:literal)*) => {
            vec![$(truth.check("Task", 1, async || tokio::spawn(of_bytes::<$bytes>())).await),*]
        };
    }
    let sizes: Vec<JoinHandle<()>> = sizes![0 1 8 40 64 65 100 127 128 129 200 500 1000 4000 20000];
    let many = truth
        .check("Task", 100, async || (0..100).map(|_| tokio::spawn(pending::<()>())).collect::<Vec<_>>());
    let many = many.await;
    let ids: HashSet<Option<u64>> = many.iter().map(|task| task.id().to_string().parse().ok()).collect();
    let told: HashSet<Option<u64>> =
        census().iter().filter(|block| block.kind == "Task").map(|block| block.id).collect();
    assert!(ids.is_subset(&told), "their ids are told");
    let ended = truth.check("Task", 1, async || tokio::spawn(async { [7_u8; 300] })).await;
    let panicked =
        truth.check("Task", 1, async || tokio::spawn(async { std::panic::resume_unwind(Box::new(5)) })).await;
    let aborted = truth.check("Task", 1, async || {
        let task = tokio::spawn(of_bytes::<77>());
        task.abort();
        task
    });
    let aborted = aborted.await;
    let has_ended = [ended.is_finished(), panicked.is_finished(), aborted.is_finished()];
    assert_eq!(has_ended, [true; 3]);
    for id in [ended.id(), panicked.id(), aborted.id()] {
        let id = id.to_string().parse().ok();
        let told = census().into_iter().find(|block| block.id == id);
        assert_eq!(told.as_ref().and_then(|told| told.has_ended), Some(true), "{told:?}");
    }
    let mut set = JoinSet::new();
    truth.check("Task", 3, async || (0..3).for_each(|_| _ = set.spawn(of_bytes::<10>()))).await;
    let (tell, told) = std::sync::mpsc::sync_channel::<()>(0);
    let blocking = truth.check("Task", 1, async || tokio::task::spawn_blocking(move || told.recv())).await;
    assert!(census().iter().any(|block| block.is_blocking == Some(true) && block.has_ended == Some(false)));
    // It has a record, and needs no entry.
    let recorded = truth.check("Task", 0, async || diag::spawn(of_bytes::<30>())).await;
    let busy = truth.check("Task", 20, async || {
        let busy = || {
            tokio::spawn(async {
                while black_box(true) {
                    tokio::task::yield_now().await
                }
            })
        };
        (0..20).map(|_| busy()).collect::<Vec<_>>()
    });
    let busy = busy.await;
    for _ in 0..50 {
        let found = census();
        let told = busy.iter().map(|task| task.id().to_string().parse().ok()).filter(|id| {
            found
                .iter()
                .any(|block| block.kind == "Task" && block.id == *id && block.has_ended == Some(false))
        });
        assert_eq!(told.count(), busy.len(), "also while they run");
    }
    busy.iter().for_each(JoinHandle::abort);
    local(truth).await;
    drop(tell);
    assert!(blocking.await.is_ok_and(|told| told.is_err()), "nobody tells it any more");
    drop((recorded, set, ended, aborted));
    assert!(panicked.await.is_err_and(|error| error.is_panic()));
    sizes.iter().chain(&many).for_each(|task| task.abort());
}

async fn local(truth: &mut Truth) {
    let set = LocalSet::new();
    let spawn = async || {
        let held = std::rc::Rc::new(5);
        set.run_until(async move {
            tokio::task::spawn_local(async move {
                pending::<()>().await;
                drop(held);
            })
        })
        .await
    };
    let task = truth.check("Task", 1, spawn).await;
    assert!(!task.is_finished());
}

async fn channels(truth: &mut Truth) {
    let bounded = truth.check("Channel", 1, async || mpsc::channel::<u8>(1)).await;
    let unbounded = truth.check("Channel", 1, async || mpsc::unbounded_channel::<String>()).await;
    let large = truth.check("Channel", 1, async || mpsc::channel::<[u64; 300]>(10_000)).await;
    let backlog = truth.check("Channel", 1, async || {
        let (sender, receiver) = mpsc::unbounded_channel();
        (0..1_000).for_each(|n: u64| sender.send(n).expect("it is open"));
        (sender, receiver)
    });
    let backlog = backlog.await;
    let closed = truth.check("Channel", 1, async || {
        let (sender, mut receiver) = mpsc::channel::<u8>(3);
        receiver.close();
        (sender.clone(), sender, receiver)
    });
    let closed = closed.await;
    let dropped = truth.check("Channel", 1, async || mpsc::channel::<u8>(3).0).await;
    let weak = truth.check("Channel", 1, async || {
        let (sender, receiver) = mpsc::channel::<u8>(3);
        (sender.downgrade(), receiver)
    });
    drop((weak.await, dropped, closed, backlog, large, unbounded, bounded));
}

async fn sockets(truth: &mut Truth) {
    // Their cells are freed, and the registrations lie where they lay.
    for _ in 0..10 {
        let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(async { black_box([1_u8; 90]) })).collect();
        for task in tasks {
            task.await.expect("it ends");
        }
    }
    let listener = truth.check("Socket", 1, async || TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let listener = listener.await;
    let address = listener.local_addr().expect("it has one");
    let mut connections = Vec::new();
    for _ in 0..20 {
        let pair = truth.check("Socket", 2, async || {
            let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
            (client.expect("it listens"), server.expect("somebody connects"))
        });
        connections.push(pair.await);
    }
    let udp = truth.check("Socket", 1, async || UdpSocket::bind("127.0.0.1:0").await.expect("a port")).await;
    let unix = truth.check("Socket", 2, async || UnixStream::pair().expect("a pair")).await;
    let datagram = truth.check("Socket", 2, async || UnixDatagram::pair().expect("a pair")).await;
    drop((udp, unix, datagram, connections));
}

async fn others(truth: &mut Truth) {
    /// As crossbeam and others pad what threads share.
    #[repr(align(128))]
    struct Padded<T>(#[allow(dead_code, reason = "it is there")] T);
    let none = truth.check("Unknown", 0, async || {
        (oneshot::channel::<u8>(), broadcast::channel::<u8>(4), watch::channel(1_u8), Semaphore::new(3))
    });
    let none = none.await;
    let bounded = truth.check("Unknown", 1, async || {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<u8>(8);
        sender.send(1).expect("it is open");
        (sender, receiver)
    });
    let bounded = bounded.await;
    let unbounded = truth.check("Unknown", 1, async || {
        let (sender, receiver) = std::sync::mpsc::channel::<u64>();
        (0..200).for_each(|n| sender.send(n).expect("it is open"));
        (sender, receiver)
    });
    let unbounded = unbounded.await;
    let fresh = truth.check("Unknown", 1, async || std::sync::mpsc::channel::<u64>()).await;
    let padded = truth.check("Unknown", 4, async || {
        (
            Box::new(Padded([0_u64; 16])),
            std::sync::Arc::new(Padded([1_u64; 16])),
            std::sync::Arc::new(Padded([std::ptr::from_ref(&ALLOC).addr(); 50])),
            vec![Padded(&ALLOC), Padded(&ALLOC)],
        )
    });
    let padded = padded.await;
    let uninitialized = truth.check("Unknown", 200, async || {
        // What freed cells, channels and registrations have left lies in these.
        let of = |blocks: usize| Box::<[Padded<[u8; 128]>]>::new_uninit_slice(blocks);
        (0..200).map(|n| of(1 + n % 4)).collect::<Vec<_>>()
    });
    drop((uninitialized.await, padded, fresh, unbounded, bounded, none));
}
