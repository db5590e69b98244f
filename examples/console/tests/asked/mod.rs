//! console-subscriber, asked as tokio-console does: by its protocol.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console_api::Field;
use console_api::field::{Name, Value};
use console_api::instrument::InstrumentRequest;
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::tasks::{Stats, Task, TaskUpdate};
use tokio::time::sleep;

/// An address that nobody listens on.
pub(crate) fn free_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("it is bound")
}

/// What is known of a live task.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) polls: u64,
}

/// A client that keeps what it is told.
#[derive(Clone, Default)]
pub(crate) struct Console {
    told: Arc<Mutex<Told>>,
}

/// By console-subscriber's own ids.
#[derive(Default)]
struct Told {
    tasks: HashMap<u64, Task>,
    stats: HashMap<u64, Stats>,
}

impl Console {
    /// Connects, and begins to listen in a task of its own.
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let console = Console::default();
        let until = Instant::now() + Duration::from_secs(30);
        let mut client = loop {
            // It binds on a thread of its own.
            match InstrumentClient::connect(format!("http://{addr}")).await {
                Ok(client) => break client,
                Err(error) if Instant::now() > until => panic!("nobody listens on {addr}: {error}"),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        let updates = client.watch_updates(InstrumentRequest {}).await.expect("it answers");
        let (mut updates, listening) = (updates.into_inner(), console.clone());
        tokio::spawn(async move {
            while let Some(update) = updates.message().await.expect("it goes on") {
                listening.told().add(update.task_update.unwrap_or_default());
            }
        });
        console
    }

    /// The live tasks by tokio's ids.
    pub(crate) fn live(&self) -> BTreeMap<u64, Known> {
        let told = self.told();
        let live = told.tasks.iter().filter_map(|(id, task)| {
            let stats = told.stats.get(id).filter(|stats| stats.dropped_at.is_none())?;
            known(task, stats)
        });
        live.collect()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn add(&mut self, update: TaskUpdate) {
        assert_eq!(update.dropped_events, 0, "its buffer was full, and it does not know all tasks");
        let id = |task: &Task| task.id.expect("each has one").id;
        self.tasks.extend(update.new_tasks.into_iter().map(|task| (id(&task), task)));
        self.stats.extend(update.stats_update);
    }
}

/// A task by tokio's id. What `block_on` runs is one to console-subscriber alone, and a closure on a blocking thread to
/// neither count that it is compared with.
fn known(task: &Task, stats: &Stats) -> Option<(u64, Known)> {
    let Value::U64Val(id) = field(task, "task.id")? else { return None };
    let (Value::StrVal(kind) | Value::DebugVal(kind)) = field(task, "kind")? else { return None };
    let location = task.location.as_ref().filter(|_| kind == "task")?;
    let polls = stats.poll_stats.as_ref().map_or(0, |polls| polls.polls);
    Some((*id, Known { file: location.file.clone()?, line: location.line?, polls }))
}

fn field<'a>(task: &'a Task, name: &str) -> Option<&'a Value> {
    let is_it = |field: &&Field| matches!(&field.name, Some(Name::StrName(is)) if is == name);
    task.fields.iter().find(is_it)?.value.as_ref()
}
