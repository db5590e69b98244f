//! What the process has around it is in a snapshot, each with the file that says so.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::Command;

use diag_snapshot::{Child, Snapshot};
use tokio::net::{TcpListener, TcpStream};

fn now() -> Snapshot {
    let (snapshot, damage) = diag_snapshot::read(&diag::snapshot().to_bytes()).expect("a file");
    assert_eq!(damage, []);
    snapshot
}

fn open(snapshot: &Snapshot, target: &str) -> u64 {
    let targets = &snapshot.capture.resources.descriptor_targets;
    assert!(targets.iter().all(|target| target.source == "/proc/self/fd"));
    targets.iter().find(|known| known.target == target).map_or(0, |known| known.open)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_children_runtimes_and_pressure_are_told() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let before = now();
    let executable = std::env::current_exe().expect("there is one");
    let path = executable.to_str().expect("text").to_owned();
    let files: Vec<File> = (0..7).map(|_| File::open(&executable).expect("it can be read")).collect();
    let mut child = Command::new("sleep").arg("60").spawn().expect("there is such a program");
    let told = now();
    assert_eq!(open(&told, &path) - open(&before, &path), 7);
    let (pid, source) = (child.id(), format!("/proc/{}/stat", child.id()));
    let row = |told: &Snapshot| {
        let children = told.capture.resources.children.clone().expect("the kernel tells");
        children.into_iter().find(|known| known.pid == pid)
    };
    let expected = Child { pid, name: "sleep".to_owned(), has_ended: false, source };
    assert_eq!(row(&told).map(|child| child.pid), Some(pid));
    assert!(told.capture.resources.child_processes.is_some_and(|children| children >= 1));
    child.kill().expect("it runs");
    let ended = std::time::Instant::now();
    while row(&now()) != Some(Child { has_ended: true, ..expected.clone() }) {
        assert!(ended.elapsed().as_secs() < 10, "{:?}", row(&now()));
        tokio::task::yield_now().await;
    }
    child.wait().expect("it has ended");
    let children = now().capture.resources.children.expect("the kernel tells");
    assert!(children.iter().all(|child| child.pid != pid), "somebody has waited for it");
    drop(files);
    assert_eq!(open(&now(), &path), open(&before, &path));

    let [runtime] = &told.capture.runtimes[..] else { panic!("{:?}", told.capture.runtimes) };
    assert_eq!((runtime.workers, runtime.queued_tasks), (2, Some(0)));
    assert_eq!((runtime.busy_by_worker_ns.len(), runtime.parks_by_worker.len()), (2, 2));
    for pressure in &told.capture.resources.pressure {
        assert!(["cpu", "memory", "io"].contains(&pressure.of.as_str()), "{pressure:?}");
        assert!(std::fs::exists(&pressure.source).expect("it can be asked"), "{pressure:?}");
    }
    let has_pressure =
        std::fs::read_to_string("/proc/pressure/cpu").is_ok_and(|text| text.starts_with("some"));
    assert_eq!(told.capture.resources.pressure.iter().any(|pressure| pressure.of == "cpu"), has_pressure);
}

/// States of sockets are told where the census is: it has asked for them before.
#[tokio::test]
async fn sockets_are_told_by_their_state() {
    let before = now();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let client = TcpStream::connect(address).await.expect("it listens");
    let (server, _) = listener.accept().await.expect("somebody calls");
    let states = |snapshot: &Snapshot| {
        ["tcp listen", "tcp established", "tcp close-wait", "socket"].map(|target| open(snapshot, target))
    };
    let [was, is] = [states(&before), states(&now())];
    let more: Vec<u64> = was.iter().zip(is).map(|(was, is)| is.saturating_sub(*was)).collect();
    assert!([[1, 2, 0, 0], [0, 0, 0, 3]].contains(&more[..].try_into().expect("four")), "{more:?}");
    if more[3] == 0 {
        drop(server);
        let ended = std::time::Instant::now();
        while states(&now())[2] == was[2] {
            assert!(ended.elapsed().as_secs() < 10, "it is never told");
            tokio::task::yield_now().await;
        }
    }
    drop(client);
}
