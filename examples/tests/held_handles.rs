//! A stock axum service whose handlers spawn jobs with `tokio::spawn`: one keeps the handles of all, its twin lets go of those that
//! have ended. Nothing is spawned through diag; the one is found by its line, the other is not.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use diag_analysis::Analysis;
use diag_diff::rules::subject::Subject;
use diag_diff::{Finding, Policy, Report, diff, judge};
use diag_snapshot::Snapshot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

type Jobs = Arc<Spawned>;

/// Jobs of one handler.
#[derive(Default)]
struct Spawned {
    held: Mutex<Vec<JoinHandle<()>>>,
    /// All that there ever were.
    made: AtomicUsize,
}

impl Spawned {
    fn hold(&self, job: JoinHandle<()>) {
        self.held.lock().expect("no panic").push(job);
        self.made.fetch_add(1, Ordering::Relaxed);
    }
}

async fn work() {
    sleep(Duration::from_millis(5)).await;
}

async fn kept(State(jobs): State<Jobs>) {
    jobs.hold(tokio::spawn(work()));
}

async fn reaped(State(jobs): State<Jobs>) {
    let job = tokio::spawn(work());
    jobs.held.lock().expect("no panic").retain(|job| !job.is_finished());
    jobs.hold(job);
}

/// The line of this file that begins so.
fn line_of(code: &str) -> usize {
    let line = include_str!("held_handles.rs").lines().position(|line| line.trim_start().starts_with(code));
    line.expect("it is there") + 1
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Asks on one connection, again and again, also while a snapshot is taken.
async fn ask(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    loop {
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).await.expect("an answer") > 0);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until both were asked so often.
async fn asked(times: usize, state: &[Jobs; 2]) {
    while state.iter().any(|jobs| jobs.made.load(Ordering::Relaxed) < times) {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn snapshot_now() -> Snapshot {
    sleep(Duration::from_millis(60)).await;
    let bytes = tokio::task::spawn_blocking(|| diag::snapshot().to_bytes()).await.expect("it returns");
    diag_snapshot::read(&bytes).expect("a file").0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_that_are_kept_are_found_by_the_line_that_spawned() {
    let _diag = diag::Builder::new().env(false).agent(false).stderr(false).start();
    let state: [Jobs; 2] = Default::default();
    let app = Router::new().route("/kept", get(kept)).with_state(Arc::clone(&state[0]));
    let twin = Router::new().route("/reaped", get(reaped)).with_state(Arc::clone(&state[1]));
    let address = serve(app.merge(twin)).await;
    let _connection = TcpStream::connect(address).await.expect("it listens");
    let asking = ["/kept", "/reaped"].map(|path| tokio::spawn(ask(address, path)));
    asked(60, &state).await;
    let before = snapshot_now().await;
    asked(180, &state).await;
    let reaped_by_then = state[1].made.load(Ordering::Relaxed) as u64;
    let after = snapshot_now().await;
    asking.iter().for_each(|asking| asking.abort());
    let kept = state[0].made.load(Ordering::Relaxed) as u64;
    let (before, after) = (Analysis::new(before), Analysis::new(after));
    let connections = after.site_views().find(|site| site.name.contains("axum::serve"));
    let spawned_in = connections.and_then(|site| site.spawned_in).unwrap_or_default();
    assert!(
        spawned_in.starts_with("axum::serve") && spawned_in.contains("src/serve/mod.rs:"),
        "{spawned_in}"
    );
    let own = after.site_views().find(|site| site.name.contains("held_handles::work"));
    assert_eq!(own.and_then(|site| site.spawned_in), None, "the service spawned that itself");
    let report = report(&before, &after);
    let zombies: Vec<&Finding> = report.findings.iter().filter(|finding| finding.rule == "zombie").collect();
    let [found] = zombies[..] else { panic!("one place, and not its twin's: {report:#?}") };
    assert_eq!(found.category.as_str(), "leak", "{found:#?}");
    let count = found.count.expect("it is counted");
    assert!((100..=kept).contains(&count), "{count} of {kept}");
    let Subject::SpawnSite(site) = &found.subject else { panic!("{found:#?}") };
    assert_eq!(site.line as usize, line_of("jobs.hold(tokio"));
    let spawned = spawned_at(&after, line_of("let job = tokio"));
    assert!(spawned >= reaped_by_then, "its twin was at work as well: {spawned} of {reaped_by_then}");
    let holder = found.held_by.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(holder.starts_with(&format!("{count} handles")), "{holder}");
}

/// Tasks that were spawned at this line of this file.
fn spawned_at(analysis: &Analysis, line: usize) -> u64 {
    let location = format!("examples/tests/held_handles.rs:{line}");
    analysis.site_views().filter(|site| site.location == location).map(|site| site.spawned).sum()
}

fn report(before: &Analysis, after: &Analysis) -> Report {
    let policy = Policy::parse("[rules.zombie]\nmin_growth_s = 0.5\n").expect("a policy");
    judge(&diff(before, after).expect("one service"), &policy)
}
