//! tokio-console's own client attaches to `diag console`: its tasks are those of the service, also after that died and came back.
#![cfg(all(feature = "console", target_os = "linux"))]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{
    InstrumentRequest, PauseRequest, ResumeRequest, State, StateRequest, TaskDetailsRequest, Temporality,
    Update,
};
use console_api::tasks::{Stats, Task};
use diag_snapshot::Snapshot;
use diag_test_support::agent::ok;
use diag_test_support::eventually::Patience;
use diag_test_support::scenario::{Churn, Service};
use diag_viewer::ServeError;
use diag_viewer::agent::Agent;
use diag_viewer::console::{Options, bind, serve_on};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that answers with the same snapshot until it is given another.
struct Served {
    addr: SocketAddr,
    now: Arc<Mutex<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
    requests: JoinHandle<BTreeSet<String>>,
}

impl Served {
    fn new(addr: SocketAddr, snapshot: &Snapshot) -> Self {
        let patience = Patience::new(PATIENCE);
        let listener = loop {
            match TcpListener::bind(addr) {
                Ok(listener) => break listener,
                Err(error) => patience.check("it listens", error),
            }
        };
        let addr = listener.local_addr().expect("it is bound");
        let now = Arc::new(Mutex::new(diag_snapshot::write(snapshot)));
        let is_over = Arc::new(AtomicBool::new(false));
        let requests = thread::spawn({
            let (now, is_over) = (Arc::clone(&now), Arc::clone(&is_over));
            move || answer_all(&listener, &now, &is_over)
        });
        Served { addr, now, is_over, requests }
    }

    fn show(&self, snapshot: &Snapshot) {
        *self.now.lock().expect("nobody panics") = diag_snapshot::write(snapshot);
    }

    /// Ends it: nobody listens there any more. Returns the different requests that it had.
    fn die(self) -> BTreeSet<String> {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for a caller is given one.
        drop(std::net::TcpStream::connect(self.addr));
        self.requests.join().expect("it does not panic")
    }
}

fn answer_all(listener: &TcpListener, now: &Mutex<Vec<u8>>, is_over: &AtomicBool) -> BTreeSet<String> {
    let mut requests = BTreeSet::new();
    while let Ok((mut stream, _)) = listener.accept() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let first = String::from_utf8_lossy(&request[..read]).lines().next().map(str::to_owned);
        requests.extend(first);
        let answer = ok(&now.lock().expect("nobody panics"));
        // A caller that only wants to see whether somebody listens reads nothing.
        _ = stream.write_all(&answer);
    }
    requests
}

/// A client that keeps what it is told.
struct Client {
    calls: InstrumentClient<Channel>,
    updates: Streaming<Update>,
    states: Streaming<State>,
    tasks: BTreeMap<u64, (Task, Stats)>,
}

impl Client {
    async fn attach(addr: SocketAddr) -> Self {
        let mut calls = InstrumentClient::connect(format!("http://{addr}")).await.expect("it listens");
        let updates = calls.watch_updates(InstrumentRequest {}).await.expect("it answers").into_inner();
        let states = calls.watch_state(StateRequest {}).await.expect("it answers").into_inner();
        Client { calls, updates, states, tasks: BTreeMap::new() }
    }

    /// Hears updates until the live tasks are such; what is `expected` of them is said if that does not come.
    async fn hear_until(&mut self, expected: &str, is_so: impl Fn(&BTreeSet<u64>) -> bool) {
        let patience = Patience::new(PATIENCE);
        loop {
            let update = tokio::time::timeout(PATIENCE, self.updates.message()).await.expect("it is told");
            let told = update.expect("no error").expect("no end").task_update.unwrap_or_default();
            for task in told.new_tasks {
                let id = task.id.expect("an id").id;
                self.tasks.insert(id, (task, Stats::default()));
            }
            for (id, stats) in told.stats_update {
                self.tasks.get_mut(&id).expect("a task that it was told of").1 = stats;
            }
            let live = self.live();
            if is_so(&live) {
                return;
            }
            patience.check(expected, live);
        }
    }

    fn live(&self) -> BTreeSet<u64> {
        let live = self.tasks.iter().filter(|(_, (_, stats))| stats.dropped_at.is_none());
        live.map(|(id, _)| *id).collect()
    }

    async fn state(&mut self) -> Temporality {
        let state = tokio::time::timeout(PATIENCE, self.states.message()).await.expect("it answers");
        state.expect("no error").expect("no end").temporality()
    }
}

/// The recorder's ids in those of the client, of which the upper bits say of which process.
fn of_process(ids: &BTreeSet<u64>) -> BTreeSet<u64> {
    ids.iter().map(|id| id & ((1 << 44) - 1)).collect()
}

fn ids(snapshot: &Snapshot) -> BTreeSet<u64> {
    snapshot.tasks.iter().map(|task| task.id.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_the_tasks_of_a_service_that_works_pauses_dies_and_comes_back() {
    let service = |instance| {
        let churn = Churn { until: 60.0, ..Churn::default() };
        Service { instance, ..Service::new(churn.tasks()) }
    };
    // Nobody else binds there, so that it can come back.
    let served = Served::new(SocketAddr::from(([127, 0, 77, 1], 0)), &service(1).at(20.0));
    let agent = served.addr;
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("any port");
    let console = listener.local_addr().expect("it is bound");
    let options = Options {
        agent: Agent::parse(&agent.to_string()).expect("an address"),
        token: None,
        every: Duration::from_millis(20),
        within: PATIENCE,
        say: |_| {},
    };
    tokio::spawn(serve_on(listener, options));

    let mut client = Client::attach(console).await;
    assert_eq!(client.state().await, Temporality::Live);
    for second in [20.0, 21.0, 30.0] {
        let snapshot = service(1).at(second);
        served.show(&snapshot);
        let is_so = |live: &BTreeSet<u64>| of_process(live) == ids(&snapshot);
        client.hear_until(&format!("the tasks at {second} s"), is_so).await;
    }
    let first = client.live();

    let id = *first.first().expect("a task");
    let details = client.calls.watch_task_details(TaskDetailsRequest { id: Some(id.into()) }).await;
    let details = details.expect("it lives").into_inner().message().await.expect("no error").expect("no end");
    assert_eq!(details.task_id.map(|id| id.id), Some(id));
    let gone = client.calls.watch_task_details(TaskDetailsRequest { id: Some(u64::MAX.into()) }).await;
    assert_eq!(gone.expect_err("there is none").code(), Code::NotFound);

    client.calls.pause(PauseRequest {}).await.expect("it pauses");
    assert_eq!(client.state().await, Temporality::Paused);
    let later = service(1).at(31.0);
    served.show(&later);
    client.calls.resume(ResumeRequest {}).await.expect("it goes on");
    assert_eq!(client.state().await, Temporality::Live);
    client.hear_until("the tasks after the pause", |live| of_process(live) == ids(&later)).await;

    let requests = served.die();
    // Once, nothing may have been asked for: to see whether somebody listens.
    let asked: Vec<&str> =
        requests.iter().map(String::as_str).filter(|request| !request.is_empty()).collect();
    assert_eq!(asked, ["GET /snapshot?only=tasks HTTP/1.1"]);
    client.hear_until("no task, as it is gone", BTreeSet::is_empty).await;
    let again = service(2).at(31.0);
    let served = Served::new(agent, &again);
    client.hear_until("the tasks of the next process", |live| of_process(live) == ids(&again)).await;
    assert!(client.live().is_disjoint(&first), "ids of another process");
    served.die();

    client.hear_until("no task, as it is gone", BTreeSet::is_empty).await;
}

#[tokio::test]
async fn who_cannot_be_kept_out_is_not_let_in() {
    let everybody = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = bind(everybody).await.expect_err("other machines could read");
    assert!(matches!(refused, ServeError::KnowsNoToken { .. }), "{refused}");
    assert!(refused.to_string().contains("tunnel"), "{refused}");
}
