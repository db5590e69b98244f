//! How often who waits for whom is told in a service that runs: `cargo run --release -p diag --example planted_waits -- --rounds 20`
//!
//! Plants tasks that wait for each other, for themselves, behind others, and healthy ones, sweeps the memory of its own process, and
//! reads that as a reader does. In normal mode a lock's block is found by what points to it, which does not always tell where it begins: so
//! this counts. It passes if nothing is told of healthy tasks and nine of ten faults are named with all members.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::print_stdout, reason = "printing the figures is the purpose")]

use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex as StdMutex};
use std::time::Duration;

use diag::task::Builder;
use diag_analysis::Analysis;
use diag_snapshot::TaskState;
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// What is to be told, and else what the sweep says.
type Told = Result<(), String>;

fn check(is_so: bool, else_says: impl FnOnce() -> String) -> Told {
    if is_so { Ok(()) } else { Err(else_says()) }
}

/// Plants a fault and looks for it.
type Plant = fn() -> Told;

/// Each fault by name.
const FAULTS: [(&str, Plant); 8] = [
    ("locks in a circle", locks_in_a_circle),
    ("a lock taken twice", a_lock_taken_twice),
    ("a read lock that becomes a write lock", a_read_lock_that_becomes_a_write_lock),
    ("a full channel and an end", a_full_channel_and_an_end),
    ("peers with each other's senders", peers_with_each_others_senders),
    ("a receiver with its own sender", a_receiver_with_its_own_sender),
    ("behind the last of a chain", the_last_of_a_chain),
    ("a branch that nobody polls", a_branch_that_nobody_polls),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let place = args.iter().position(|arg| arg == "--rounds");
    let given = place.and_then(|place| args.get(place + 1)?.parse::<u64>().ok());
    let rounds = given.unwrap_or(20);
    let (mut named, mut lies) = (0, 0);
    for (name, plant) in FAULTS {
        let missed: Vec<String> = (0..rounds).filter_map(|_| plant().err()).collect();
        println!("{name}: named in {} of {rounds} rounds", rounds - missed.len() as u64);
        if let Some(first) = missed.first() {
            println!("  missed: {first}");
        }
        named += rounds - missed.len() as u64;
    }
    for told in (0..rounds).filter_map(|_| healthy().err()) {
        println!("told of healthy tasks: {told}");
        lies += 1;
    }
    let planted = rounds * FAULTS.len() as u64;
    let passes = lies == 0 && named * 10 >= planted * 9;
    let verdict = if passes { "PASS" } else { "FAIL" };
    println!(
        "{verdict}: {named} of {planted} faults named with all members, {lies} of {rounds} healthy rounds told"
    );
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// So long that nothing of it ends while a test runs.
const LONG: Duration = Duration::from_secs(3_600);

/// On a runtime of its own, all of whose tasks rest before it is looked at.
fn run(case: impl Future<Output = Told>) -> Told {
    static DIAG: LazyLock<diag::Guard> =
        LazyLock::new(|| diag::Builder::new().env(false).agent(false).stderr(false).start());
    LazyLock::force(&DIAG);
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(case)
}

/// Spawns a task of this name, lets all others go on, and forgets its handle.
async fn plant(name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
    drop(Builder::new().name(name).spawn(future).expect("a runtime"));
    rest().await;
}

async fn rest() {
    for _ in 0..64 {
        yield_now().await;
    }
}

/// What a sweep says of the tasks, by their names.
struct Seen {
    analysis: Analysis,
}

impl Seen {
    async fn now() -> Self {
        rest().await;
        let snapshot = diag::snapshot_with_holders().into_model();
        let sweep = snapshot.capture.sweep.as_ref().expect("it was asked for");
        assert_eq!(sweep.why, None);
        Seen { analysis: Analysis::new(snapshot) }
    }

    fn name(&self, task: diag_snapshot::TaskId) -> String {
        let snapshot = self.analysis.snapshot();
        let name = snapshot.task(task).and_then(|task| task.name);
        name.map_or(String::new(), |name| snapshot.strings.show(name).to_owned())
    }

    /// The cycles of tasks of this test, by names, sorted.
    fn cycles(&self, prefix: &str) -> Vec<Vec<String>> {
        let holders = self.analysis.holders().expect("swept");
        let members = holders.cycles().iter().map(|cycle| {
            let mut names: Vec<String> = cycle.members.iter().map(|&task| self.name(task)).collect();
            names.sort();
            names
        });
        members.filter(|names| names.iter().any(|name| name.starts_with(prefix))).collect()
    }

    fn never(&self, prefix: &str) -> Vec<String> {
        let holders = self.analysis.holders().expect("swept");
        let names = holders.never().map(|(task, _)| self.name(task));
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// The one that has what this task waits for, through all that wait themselves.
    fn root(&self, name: &str) -> Option<String> {
        let snapshot = self.analysis.snapshot();
        let is_it =
            |task: &diag_snapshot::TaskRow| task.name.is_some_and(|is| snapshot.strings.show(is) == name);
        let task = snapshot.tasks.iter().find(is_it).expect("it lives");
        assert_eq!(task.state, TaskState::Idle);
        let links = self.analysis.holders().expect("swept").chain(task.id);
        links.last().map(|link| self.name(link.holder))
    }

    fn explain(&self, prefix: &str) -> String {
        let holders = self.analysis.holders().expect("swept");
        let mut told = String::new();
        for wait in holders.waits().iter().filter(|wait| self.name(wait.task).starts_with(prefix)) {
            told += &format!("{} {wait:?}\n  servers {:?}\n", self.name(wait.task), holders.servers(wait));
            let resources = &self.analysis.snapshot().resources;
            let row = resources.id().find(wait.node.id).and_then(|row| resources.get(row));
            told += &format!("  senders {:?}\n", row.map(|row| (row.senders, row.has_receiver)));
            for pointer in holders.pointers_to(wait.node) {
                told += &format!("  {pointer:?}\n");
            }
        }
        told
    }
}

fn locks_in_a_circle() -> Told {
    run(async {
        for (prefix, names) in
            [("two ", &["two 0", "two 1"][..]), ("four ", &["four 0", "four 1", "four 2", "four 3"][..])]
        {
            let locks: Vec<Arc<Mutex<u64>>> = names.iter().map(|_| Arc::default()).collect();
            let gate = Arc::new(Semaphore::new(0));
            for (at, name) in names.iter().enumerate() {
                let (own, next) = (locks[at].clone(), locks[(at + 1) % names.len()].clone());
                let gate = gate.clone();
                plant(name, async move {
                    let _own = own.lock().await;
                    let _ = gate.acquire().await;
                    *next.lock().await += 1;
                })
                .await;
            }
            gate.add_permits(100);
            drop((locks, gate));
            let seen = Seen::now().await;
            check(seen.cycles(prefix) == [names], || seen.explain(prefix))?;
        }
        Ok(())
    })
}

fn a_lock_taken_twice() -> Told {
    run(async {
        let lock = Arc::new(Mutex::new(0_u64));
        plant("twice", async move {
            let _guard = lock.lock().await;
            *lock.lock().await += 1;
        })
        .await;
        let seen = Seen::now().await;
        check(seen.cycles("twice") == [["twice"]], || seen.explain("twice"))?;
        Ok(())
    })
}

fn a_read_lock_that_becomes_a_write_lock() -> Told {
    run(async {
        let lock = Arc::new(RwLock::new(0_u64));
        plant("upgrade", async move {
            let _guard = lock.read().await;
            *lock.write().await += 1;
        })
        .await;
        let seen = Seen::now().await;
        check(seen.cycles("upgrade") == [["upgrade"]], || seen.explain("upgrade"))?;
        Ok(())
    })
}

fn a_full_channel_and_an_end() -> Told {
    run(async {
        let (sender, mut receiver) = mpsc::channel::<u64>(1);
        let (told, go) = oneshot::channel::<diag::task::JoinHandle<()>>();
        let sends = Builder::new()
            .name("full sender")
            .spawn(async move {
                for number in 0..9 {
                    let _ = sender.send(number).await;
                }
            })
            .expect("a runtime");
        plant("full receiver", async move {
            if let Ok(sends) = go.await {
                let _ = sends.await;
            }
            receiver.recv().await;
        })
        .await;
        assert!(told.send(sends).is_ok());
        let seen = Seen::now().await;
        check(seen.cycles("full") == [["full receiver", "full sender"]], || seen.explain("full"))?;
        Ok(())
    })
}

fn peers_with_each_others_senders() -> Told {
    run(async {
        let (to_one, mut one) = mpsc::channel::<u64>(4);
        let (to_two, mut two) = mpsc::channel::<u64>(4);
        plant("peer one", async move {
            one.recv().await;
            drop(to_two);
        })
        .await;
        plant("peer two", async move {
            two.recv().await;
            drop(to_one);
        })
        .await;
        let seen = Seen::now().await;
        check(seen.cycles("peer") == [["peer one", "peer two"]], || seen.explain("peer"))?;
        Ok(())
    })
}

fn a_receiver_with_its_own_sender() -> Told {
    run(async {
        let (sender, mut receiver) = mpsc::channel::<u64>(4);
        plant("own sender", async move {
            receiver.recv().await;
            drop(sender);
        })
        .await;
        let seen = Seen::now().await;
        check(seen.never("own sender") == ["own sender"], || seen.explain("own sender"))?;
        Ok(())
    })
}

fn the_last_of_a_chain() -> Told {
    run(async {
        let (outer, inner) = (Arc::new(Mutex::new(0_u64)), Arc::new(Mutex::new(0_u64)));
        let holds = outer.clone();
        plant("chain root", async move {
            let _guard = holds.lock().await;
            sleep(LONG).await;
        })
        .await;
        let (of_outer, of_inner) = (outer.clone(), inner.clone());
        plant("chain middle", async move {
            let _guard = of_inner.lock().await;
            *of_outer.lock().await += 1;
        })
        .await;
        plant("chain last", async move {
            *inner.lock().await += 1;
        })
        .await;
        drop(outer);
        let seen = Seen::now().await;
        check(seen.root("chain last").as_deref() == Some("chain root"), || seen.explain("chain"))?;
        check(seen.never("chain").is_empty(), || "it goes on in an hour".to_owned())?;
        Ok(())
    })
}

fn a_branch_that_nobody_polls() -> Told {
    run(async {
        let lock = Arc::new(Mutex::new(0_u64));
        let (release, released) = oneshot::channel::<()>();
        let first = lock.clone();
        plant("left first", async move {
            let _guard = first.lock().await;
            let _ = released.await;
        })
        .await;
        let of_task = lock.clone();
        plant("left task", async move {
            let mut branch = pin!(of_task.lock());
            tokio::select! {
                _ = &mut branch => {}
                () = yield_now() => {}
            }
            *of_task.lock().await += 1;
        })
        .await;
        plant("left behind", async move {
            *lock.lock().await += 1;
        })
        .await;
        assert!(release.send(()).is_ok());
        let seen = Seen::now().await;
        check(seen.cycles("left") == [["left task"]], || seen.explain("left"))?;
        check(seen.root("left behind").as_deref() == Some("left task"), || seen.explain("left"))?;
        Ok(())
    })
}

fn healthy() -> Told {
    static KEPT: StdMutex<Vec<mpsc::Sender<u64>>> = StdMutex::new(Vec::new());
    run(async {
        // A receiver whose sender a static has.
        let (sender, mut receiver) = mpsc::channel::<u64>(4);
        KEPT.lock().expect("no panic").push(sender);
        plant("well receiver", async move {
            receiver.recv().await;
        })
        .await;
        // Both orders of two locks, with a timeout.
        let locks: [Arc<Mutex<u64>>; 2] = Default::default();
        for at in 0..2 {
            let (own, next) = (locks[at].clone(), locks[1 - at].clone());
            plant("well timeout", async move {
                let _own = own.lock().await;
                yield_now().await;
                let _ = tokio::time::timeout(LONG, next.lock()).await;
            })
            .await;
        }
        // A supervisor, a worker that waits to be told, permits that come back.
        let notify = Arc::new(Notify::new());
        let told = notify.clone();
        let worker = Builder::new().name("well worker").spawn(async move { told.notified().await });
        let worker = worker.expect("a runtime");
        plant("well supervisor", async move {
            let _ = worker.await;
        })
        .await;
        let permits = Arc::new(Semaphore::new(1));
        for _ in 0..3 {
            let permits = permits.clone();
            plant("well queue", async move {
                let _permit = permits.acquire().await;
                sleep(LONG).await;
            })
            .await;
        }
        // A channel whose sender sleeps.
        let (sender, mut receiver) = mpsc::channel::<u64>(1);
        plant("well reader", async move {
            receiver.recv().await;
        })
        .await;
        plant("well writer", async move {
            sleep(LONG).await;
            let _ = sender.send(1).await;
        })
        .await;
        let seen = Seen::now().await;
        check(seen.never("well").is_empty(), || seen.explain("well"))?;
        check(seen.cycles("well").is_empty(), || seen.explain("well"))?;
        drop(notify);
        Ok(())
    })
}
