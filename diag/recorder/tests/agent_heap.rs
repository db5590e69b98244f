//! The heap profile over a real socket, of a service that has a heap: what pprof reads is what was allocated.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;

use diag_test_support::profile;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

static STORE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

#[inline(never)]
fn keeps(blocks: usize) {
    let mut store = STORE.lock().expect("no panic under it");
    store.extend((0..blocks).map(|_| vec![1; 1_000]));
}

/// The head and the body of the answer.
fn get(addr: SocketAddr, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).expect("the agent listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(head);
    (String::from_utf8(answer).expect("text"), body)
}

#[test]
fn pprof_reads_what_was_allocated() {
    let addr = ([127, 0, 0, 1], 0);
    let guard = diag::Builder::new().addr(addr).heap(diag::HeapMode::Full).start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let line = line!() + 3;
    runtime.block_on(async {
        let (up, ready) = tokio::sync::oneshot::channel();
        diag::spawn(async {
            keeps(300);
            let _ = up.send(());
            std::future::pending::<()>().await;
        });
        ready.await.expect("it says so");
        diag::spawn(async { keeps(200) }).await.expect("it ends");
    });
    let (head, body) = get(guard.agent_addr().expect("it listens"), "/debug/pprof/heap");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("filename=\"heap.pb.gz\""), "{head}");
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    let profile = profile::read(&body);
    let keeps = |sample: &profile::Sample| sample.functions.iter().any(|name| name.ends_with("::keeps"));
    let of_blocks = |sample: &profile::Sample| {
        keeps(sample) && sample.places.iter().any(|place| place.contains("agent_heap.rs:"))
    };
    let blocks = |is_it: &dyn Fn(&profile::Sample) -> bool| {
        // The store itself is one more block of `keeps`.
        profile.sum("inuse_objects", |sample| of_blocks(sample) && is_it(sample))
    };
    let task = |state: &'static str| {
        move |sample: &profile::Sample| sample.labels.get("task").is_some_and(|s| s == state)
    };
    assert!((300..=301).contains(&blocks(&task("live"))), "{}", blocks(&task("live")));
    assert!((200..=201).contains(&blocks(&task("ended"))), "{}", blocks(&task("ended")));
    let site = format!("diag/recorder/tests/agent_heap.rs:{line}:9");
    let of_site = |sample: &profile::Sample| sample.labels.get("task_site") == Some(&site);
    let bytes = profile.sum("inuse_space", |sample| keeps(sample) && of_site(sample));
    assert!((300_000..340_000).contains(&bytes), "{bytes} of {site}: {profile:#?}");
    let allocated = profile.sum("alloc_space", keeps);
    assert!((500_000..700_000).contains(&allocated), "{allocated}");
    assert!(
        profile.mappings[0].0.contains("agent_heap"),
        "the executable comes first: {:?}",
        profile.mappings
    );

    let (_, index) = get(guard.agent_addr().expect("it listens"), "/debug/pprof/");
    let index = String::from_utf8(index).expect("text");
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with('/')).collect();
    for path in ["/debug/pprof/heap ", "/export/collapsed "] {
        assert!(listed.iter().any(|line| line.starts_with(path)), "{path}: {index}");
    }
    for line in listed {
        let path = line.split(' ').next().expect("a path").replace("seconds=30", "seconds=1");
        let (head, body) = get(guard.agent_addr().expect("it listens"), &path);
        assert!(head.starts_with("HTTP/1.1 200") && !body.is_empty(), "{path}: {head}");
    }
    let (head, text) = get(guard.agent_addr().expect("it listens"), "/export/collapsed");
    assert!(head.contains("filename=\"heap.folded\""), "{head}");
    let text = String::from_utf8(text).expect("text");
    let bytes = |line: &str| -> u64 { line.rsplit(' ').next().expect("a number").parse().expect("a number") };
    let of_keeps: u64 = text.lines().filter(|line| line.contains("agent_heap::keeps")).map(bytes).sum();
    assert!((500_000..700_000).contains(&of_keeps), "{of_keeps} bytes");

    let (head, text) = get(guard.agent_addr().expect("it listens"), "/metrics");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    let text = String::from_utf8(text).expect("text");
    let figure = |series: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .unwrap_or_else(|| panic!("no {series}: {text}"));
        line.trim().parse().expect("a number")
    };
    assert!(figure("diag_heap_ended_tasks_live_bytes ") >= 200_000.0);
    assert!(
        figure(&format!(
            "diag_heap_task_site_live_bytes{{site=\"{site}\",name=\"agent_heap::pprof_reads_what_was_allocated\"}} "
        )) >= 300_000.0
    );
    assert_eq!(figure("diag_tasks_by_state{state=\"idle\"} "), 1.0);
}
