//! Sockets and channels are in a snapshot: each that is open, with where it was opened, by which task, and what is in it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;
use std::time::Duration;

use diag_analysis::Analysis;
use diag_snapshot::{Protocol, ResourceKind, ResourceRow, Snapshot, SocketState, TaskId};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// What was made a moment ago is not looked into.
const OLD: Duration = Duration::from_millis(60);

#[test]
fn open_resources() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        each_socket_by_its_place().await;
        after_many_tasks_at_the_same_addresses().await;
        what_a_channel_holds().await;
        who_opened_it().await;
        what_was_closed().await;
    });
}

/// As whoever gets it reads it.
fn analysis_now() -> Analysis {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    Analysis::new(snapshot)
}

/// The line of a resource's place, if it is of this file.
fn line(snapshot: &Snapshot, row: &ResourceRow) -> Option<u32> {
    let site = snapshot.resource_sites.get(row.site.0 as usize).expect("it is one of them");
    let is_here = snapshot.strings.show(site.file?).ends_with("recorder/tests/open_resources.rs");
    site.line.filter(|_| is_here)
}

/// The sockets or channels that were opened in this file, by line.
fn by_line(snapshot: &Snapshot, kind: ResourceKind) -> BTreeMap<u32, Vec<ResourceRow>> {
    let mut rows: BTreeMap<u32, Vec<ResourceRow>> = BTreeMap::new();
    for row in snapshot.resources.iter() {
        let site = snapshot.resource_sites.get(row.site.0 as usize).expect("it is one of them");
        if let Some(line) = line(snapshot, &row).filter(|_| site.kind == kind) {
            rows.entry(line).or_default().push(row);
        }
    }
    rows
}

async fn each_socket_by_its_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let of_listener = line!() - 1;
    let address = listener.local_addr().expect("an address");
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..50 {
        clients.push(TcpStream::connect(address).await.expect("it listens"));
        servers.push(listener.accept().await.expect("it was called").0);
    }
    let (of_clients, of_servers) = (line!() - 3, line!() - 2);
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let of_udp = line!() - 1;
    servers[7].writable().await.expect("it is open");
    assert_eq!(servers[7].try_write(&[1; 40]).expect("there is room"), 40);
    let last = clients.pop().expect("there are 50");
    drop(last);
    sleep(OLD).await;

    let analysis = analysis_now();
    let snapshot = analysis.snapshot();
    let sockets = by_line(snapshot, ResourceKind::Socket);
    let counts: Vec<(u32, usize)> = sockets.iter().map(|(line, rows)| (*line, rows.len())).collect();
    assert_eq!(counts, [(of_listener, 1), (of_clients, 49), (of_servers, 50), (of_udp, 1)]);
    let text = |name| snapshot.strings.show(name);
    for (socket, row) in clients.iter().zip(&sockets[&of_clients]) {
        use std::os::fd::AsRawFd as _;
        assert_eq!(row.descriptor, Some(socket.as_raw_fd().cast_unsigned()), "in the order of opening");
        let [local, peer] =
            [socket.local_addr(), socket.peer_addr()].map(|told| told.expect("it has one").to_string());
        assert_eq!((row.local.map(text), row.peer.map(text)), (Some(&*local), Some(&*peer)));
        assert_eq!((row.protocol, row.state), (Some(Protocol::Tcp), Some(SocketState::Established)));
        assert!(row.idle_us < Some(60_000_000), "{row:?}");
    }
    let unread: Vec<Option<u64>> = sockets[&of_clients].iter().map(|row| row.unread_bytes).collect();
    assert_eq!((unread[7], unread.iter().flatten().sum::<u64>()), (Some(40), 40));
    let states = sockets[&of_servers].iter().filter(|row| row.state == Some(SocketState::CloseWait));
    assert_eq!(states.count(), 1, "whose client has gone");
    assert_eq!(sockets[&of_listener][0].state, Some(SocketState::Listen));
    assert_eq!(sockets[&of_udp][0].protocol, Some(Protocol::Udp));
    assert_eq!(
        sockets[&of_udp][0].local.map(text),
        udp.local_addr().ok().map(|local| local.to_string()).as_deref()
    );
}

/// Memory of a task's cell becomes that of a socket's registration, and keeps the task's words in its padding.
async fn after_many_tasks_at_the_same_addresses() {
    let tasks: Vec<JoinHandle<[u8; 60]>> =
        (0..10_000).map(|_| tokio::spawn(async { std::hint::black_box([3; 60]) })).collect();
    for task in tasks {
        task.await.expect("it ends");
    }
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
    }
    let of_sockets = line!() - 2;
    sleep(OLD).await;
    let analysis = analysis_now();
    let found = by_line(analysis.snapshot(), ResourceKind::Socket);
    let descriptors: Vec<Option<u32>> = found[&of_sockets].iter().map(|row| row.descriptor).collect();
    let expected = sockets.iter().map(|socket| Some(std::os::fd::AsRawFd::as_raw_fd(socket).cast_unsigned()));
    assert!(descriptors.into_iter().eq(expected), "each of a hundred, and in their order");
}

async fn what_a_channel_holds() {
    let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
    let of_unbounded = line!() - 1;
    let (bounded, mut of_bounded) = mpsc::channel::<[u8; 100]>(16);
    let of_bounded_line = line!() - 1;
    (0..1_000).for_each(|number| sender.send(number).expect("it has a receiver"));
    for _ in 0..300 {
        receiver.recv().await.expect("it was sent");
    }
    let others = [sender.clone(), sender.clone()];
    bounded.send([0; 100]).await.expect("it has a receiver");
    let weak = bounded.downgrade();
    sleep(OLD).await;
    let now = || {
        let analysis = analysis_now();
        let channels = by_line(analysis.snapshot(), ResourceKind::Channel);
        [of_unbounded, of_bounded_line].map(|line| {
            let [row] = channels[&line][..] else { panic!("{channels:#?}") };
            (row.sent, row.queued, row.senders, row.has_receiver)
        })
    };
    let unbounded = (Some(1_000), Some(700), Some(3), Some(true));
    assert_eq!(now(), [unbounded, (Some(1), Some(1), Some(1), Some(true))]);
    drop((sender, others, of_bounded.recv().await));
    drop(of_bounded);
    let closed = (Some(1_000), Some(700), Some(0), Some(true));
    assert_eq!(
        now(),
        [closed, (Some(1), Some(0), Some(1), Some(false))],
        "one has no sender, the other no receiver"
    );
    drop((receiver, bounded, weak));
}

async fn who_opened_it() {
    let bind = async || {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        std::future::pending::<()>().await;
        drop(socket);
    };
    let of_tasks = line!() - 4;
    let recorded = diag::spawn(async move { bind().await });
    let unrecorded = tokio::spawn(async move { bind().await });
    sleep(OLD).await;
    let analysis = analysis_now();
    let sockets = by_line(analysis.snapshot(), ResourceKind::Socket);
    let openers: Vec<Option<TaskId>> = sockets[&of_tasks].iter().map(|row| row.opener).collect();
    let ids = [recorded.id().to_string(), unrecorded.id().to_string()];
    let id = |tokio_id: &String| {
        let tasks = &analysis.snapshot().tasks;
        tasks
            .iter()
            .find(|task| task.tokio_id.map(|id| id.to_string()).as_ref() == Some(tokio_id))
            .map(|task| task.id)
    };
    let mut expected: Vec<Option<TaskId>> = ids.iter().map(id).collect();
    assert!(expected.iter().all(Option::is_some), "{ids:?}");
    expected.sort_unstable();
    let mut openers = openers;
    openers.sort_unstable();
    assert_eq!(openers, expected);
    recorded.abort();
    unrecorded.abort();
}

async fn what_was_closed() {
    let open = async || UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let of_sockets = line!() - 1;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(open().await);
    }
    sleep(OLD).await;
    // From the first look on what they are is known.
    drop(analysis_now());
    sockets.truncate(4);
    sleep(OLD).await;
    let analysis = analysis_now();
    let snapshot = analysis.snapshot();
    let (at, site) = snapshot
        .resource_sites
        .iter()
        .zip(0..)
        .map(|(site, at)| (at, site))
        .find(|(_, site)| site.line == Some(of_sockets) && site.kind == ResourceKind::Socket)
        .expect("it is one");
    assert_eq!((site.opened, site.closed, site.open()), (10, 6, 4));
    let ages: u64 = snapshot.resource_ages.iter().filter(|row| row.site.0 == at).map(|row| row.count).sum();
    assert_eq!(ages, 6);
}
