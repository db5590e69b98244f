//! A sweep says of planted tasks who waits in what and in which order, and who points there; of healthy ones that nobody waits.

use std::future::{Future, pending};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use diag_snapshot::{
    Node, NodeKind, PointerKind, PointerRow, Snapshot, SweepMode, TaskId, WaitDirection, WaitFor, WaitRow,
};
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, mpsc, oneshot};

#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// On a runtime of its own, all of whose tasks rest before it goes on.
fn run(test: impl Future<Output = ()>) {
    static DIAG: LazyLock<diag::Guard> =
        LazyLock::new(|| diag::Builder::new().env(false).agent(false).stderr(false).start());
    LazyLock::force(&DIAG);
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

fn named(
    name: &'static str,
    future: impl Future<Output = ()> + Send + 'static,
) -> diag::task::JoinHandle<()> {
    diag::task::Builder::new().name(name).spawn(future).expect("a runtime")
}

/// Until all tasks of the runtime rest: it has one thread, and what is woken is polled in turn.
async fn rest() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

struct Seen(Snapshot);

impl Seen {
    async fn now() -> Self {
        rest().await;
        let snapshot = diag::snapshot_with_holders().into_model();
        let sweep = snapshot.capture.sweep.as_ref().expect("it was asked for");
        assert_eq!((sweep.why.as_deref(), sweep.passes, sweep.mode), (None, 2, SweepMode::Normal));
        Seen(snapshot)
    }

    fn task(&self, name: &str) -> TaskId {
        let is_it =
            |task: &diag_snapshot::TaskRow| task.name.is_some_and(|is| self.0.strings.show(is) == name);
        self.0.tasks.iter().find(is_it).unwrap_or_else(|| panic!("{name} lives")).id
    }

    fn tasks(&self, name: &str) -> Vec<TaskId> {
        let is_it =
            |task: &diag_snapshot::TaskRow| task.name.is_some_and(|is| self.0.strings.show(is) == name);
        self.0.tasks.iter().filter(is_it).map(|task| task.id).collect()
    }

    fn node(&self, name: &str) -> Node {
        Node { kind: NodeKind::Task, id: self.task(name).0 }
    }

    fn waits(&self, name: &str) -> Vec<WaitRow> {
        let task = self.task(name);
        self.0.waits.iter().filter(|row| row.task == task).collect()
    }

    /// The one wait of this task.
    fn wait(&self, name: &str) -> WaitRow {
        let waits = self.waits(name);
        assert_eq!(waits.len(), 1, "{name}: {waits:?}");
        assert!(waits[0].held, "nothing moves");
        waits[0]
    }

    fn pointers(&self, from: Node, to: Node) -> Vec<PointerRow> {
        self.0.points.iter().filter(|row| row.from() == from && row.to() == to && row.held).collect()
    }

    fn points(&self, name: &str, to: Node) -> bool {
        !self.pointers(self.node(name), to).is_empty()
    }
}

#[test]
fn who_waits_for_a_lock_stands_in_its_queue_and_who_has_it_does_not() {
    run(async {
        let lock = Arc::new(Mutex::new(0_u64));
        let (gate, opened) = oneshot::channel::<()>();
        let take = |lock: Arc<Mutex<u64>>| async move { *lock.lock().await += 1 };
        let holder = named("lock holder", {
            let lock = lock.clone();
            async move {
                let _guard = lock.lock().await;
                let _ = opened.await;
            }
        });
        rest().await;
        for name in ["lock first", "lock second", "lock third"] {
            named(name, take(lock.clone()));
            rest().await;
        }
        (0..MANY).for_each(|_| _ = named("lock aside", pending()));
        drop(lock);
        let seen = Seen::now().await;
        let queue = ["lock first", "lock second", "lock third"].map(|name| seen.wait(name));
        assert_eq!(queue.map(|wait| wait.place), [Some(0), Some(1), Some(2)]);
        let [one, others @ ..] = queue;
        assert!(others.iter().all(|wait| wait.node() == one.node() && wait.offset == one.offset));
        assert_eq!((one.wait_for, one.direction), (WaitFor::Permits, Some(WaitDirection::Give)));
        assert_eq!((one.permits, one.lacks, one.node_kind), (Some(0), Some(1), NodeKind::Block));
        assert!(seen.0.blocks.id().find(one.node_id).is_some(), "it has a row");
        assert!(seen.points("lock holder", one.node()), "and does not wait in it");
        assert!(seen.waits("lock holder").iter().all(|wait| wait.node() != one.node()));
        let aside =
            seen.tasks("lock aside").into_iter().map(|task| Node { kind: NodeKind::Task, id: task.0 });
        assert!(most(aside.map(|aside| seen.pointers(aside, one.node()).is_empty())));
        drop(gate);
        holder.await.expect("it ends");
        let seen = Seen::now().await;
        assert!(
            seen.0.waits.iter().all(|wait| wait.wait_for != WaitFor::Permits || wait.node() != one.node())
        );
    });
}

#[test]
fn two_locks_that_are_taken_in_two_orders_are_a_cycle_and_in_one_block_they_differ() {
    run(async {
        #[derive(Default)]
        struct Pair {
            left: Mutex<u8>,
            right: RwLock<[u64; 3]>,
        }
        let (pair, left, right) =
            (Arc::new(Pair::default()), Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let both = |one: Arc<Mutex<()>>, other: Arc<Mutex<()>>| async move {
            let _one = one.lock().await;
            tokio::task::yield_now().await;
            let _other = other.lock().await;
        };
        named("cycle a", both(left.clone(), right.clone()));
        named("cycle b", both(right.clone(), left.clone()));
        let guards = (pair.left.lock().await, pair.right.write().await);
        named("pair left", {
            let pair = pair.clone();
            async move { *pair.left.lock().await += 1 }
        });
        named("pair right", {
            let pair = pair.clone();
            async move { pair.right.write().await[0] += 1 }
        });
        drop((left, right));
        let seen = Seen::now().await;
        let (a, b) = (seen.wait("cycle a"), seen.wait("cycle b"));
        assert_ne!(a.node(), b.node());
        assert!(seen.points("cycle a", b.node()) && seen.points("cycle b", a.node()));
        let (left, right) = (seen.wait("pair left"), seen.wait("pair right"));
        assert_eq!(left.node(), right.node(), "one block");
        assert_ne!(left.offset, right.offset);
        drop(guards);
    });
}

#[test]
fn of_a_channel_both_sides_are_told() {
    run(async {
        let (sender, receiver) = mpsc::channel::<u64>(1);
        for name in ["full first", "full second", "full third"] {
            let sender = sender.clone();
            named(name, async move {
                let _ = sender.send(1).await;
                pending::<()>().await;
            });
            rest().await;
        }
        drop(sender);
        named("full receiver", async move {
            let _receiver = receiver;
            tokio::time::sleep(Duration::from_secs(1 << 20)).await;
        });
        let (sender, mut receiver) = mpsc::unbounded_channel::<u64>();
        named("empty receiver", async move { while receiver.recv().await.is_some() {} });
        named("empty sender", async move {
            let _sender = sender;
            pending::<()>().await;
        });
        let seen = Seen::now().await;
        assert_eq!(seen.waits("full first"), [], "it has sent");
        let (second, third) = (seen.wait("full second"), seen.wait("full third"));
        assert_eq!((second.place, third.place), (Some(0), Some(1)));
        assert_eq!((second.wait_for, second.node_kind), (WaitFor::ChannelSend, NodeKind::Resource));
        assert!(seen.0.resources.id().find(second.node_id).is_some());
        assert_eq!(seen.wait("full receiver").wait_for, WaitFor::Timer);
        for name in ["full receiver", "full first"] {
            assert!(seen.points(name, second.node()), "{name}");
        }
        let waits = seen.wait("empty receiver");
        assert_eq!((waits.wait_for, waits.direction), (WaitFor::ChannelRecv, Some(WaitDirection::Receive)));
        assert!(seen.points("empty sender", waits.node()));
    });
}

/// How many of these: a word that a task's memory has from before may point anywhere, and one in so many does.
fn most(of: impl IntoIterator<Item = bool>) -> bool {
    let of: Vec<bool> = of.into_iter().collect();
    assert_eq!(of.len(), MANY);
    of.iter().filter(|is_so| **is_so).count() >= MANY - 4
}

const MANY: usize = 32;

#[test]
fn what_nobody_else_has_is_pointed_to_by_nobody_else() {
    run(async {
        let waits = |receiver: oneshot::Receiver<()>| async move { _ = receiver.await };
        for _ in 0..MANY {
            let (sender, receiver) = oneshot::channel::<()>();
            std::mem::forget(sender);
            named("forgotten", waits(receiver));
            let (sender, receiver) = oneshot::channel::<()>();
            named("kept", waits(receiver));
            named("keeper", async move {
                let _sender = sender;
                pending::<()>().await;
            });
        }
        let seen = Seen::now().await;
        let keepers = seen.tasks("keeper");
        let is_kept = |task: TaskId| {
            let wait = seen.0.waits.iter().find(|row| row.task == task).expect("it waits");
            assert_eq!(wait.node_kind, NodeKind::Block);
            let to_it = seen.0.points.iter().filter(|row| row.to() == wait.node());
            let tasks = to_it.filter(|row| row.from_kind == NodeKind::Task).map(|row| TaskId(row.from_id));
            tasks.filter(|from| keepers.contains(from)).count() > 0
        };
        assert!(seen.tasks("kept").into_iter().all(is_kept));
        assert!(most(seen.tasks("forgotten").into_iter().map(|task| !is_kept(task))));
    });
}

#[test]
fn joins_notifies_and_permits_are_told_apart() {
    run(async {
        let slow = named("joined", async { tokio::time::sleep(Duration::from_secs(1 << 20)).await });
        named("joins", async move { _ = slow.await });
        let mut set = diag::task::JoinSet::new();
        set.spawn(async { tokio::time::sleep(Duration::from_secs(1 << 20)).await });
        named("joins a set", async move { _ = set.join_next().await });
        let (notify, permits) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(1)));
        for name in ["notified first", "notified second"] {
            let notify = notify.clone();
            named(name, async move { notify.notified().await });
            rest().await;
        }
        named("permits", async move { _ = permits.acquire_many(3).await });
        let held = named("selects", {
            let (lock, notify) = (Arc::new(Mutex::new(())), notify.clone());
            async move {
                let guard = lock.lock().await;
                tokio::select! {
                    _ = lock.lock() => {}
                    () = notify.notified() => {}
                }
                drop(guard);
            }
        });
        let seen = Seen::now().await;
        let join = seen.wait("joins");
        assert_eq!((join.wait_for, join.node()), (WaitFor::Join, seen.node("joined")));
        let handles = seen.pointers(seen.node("joins"), seen.node("joined"));
        assert!(handles.iter().any(|row| row.pointer == PointerKind::Handle), "{handles:?}");
        assert_eq!(seen.wait("joined").wait_for, WaitFor::Timer);
        assert_eq!(seen.wait("joins a set").node_kind, NodeKind::Block, "the set has its waker");
        let notified = ["notified first", "notified second"].map(|name| seen.wait(name));
        assert_eq!(
            notified.map(|wait| (wait.wait_for, wait.place)),
            [(WaitFor::Notify, Some(0)), (WaitFor::Notify, Some(1))]
        );
        let permits = seen.wait("permits");
        assert_eq!((permits.wait_for, permits.lacks, permits.permits), (WaitFor::Permits, Some(2), Some(0)));
        let mut both: Vec<WaitFor> = seen.waits("selects").iter().map(|wait| wait.wait_for).collect();
        both.sort_unstable();
        assert_eq!(both, [WaitFor::Permits, WaitFor::Notify]);
        drop((notify, held));
    });
}

static LOCK: Mutex<u64> = Mutex::const_new(0);

#[test]
fn what_lies_in_a_static_is_one() {
    run(async {
        let guard = LOCK.lock().await;
        named("static waiter", async { *LOCK.lock().await += 1 });
        let seen = Seen::now().await;
        let wait = seen.wait("static waiter");
        assert_eq!((wait.wait_for, wait.node_kind), (WaitFor::Permits, NodeKind::Static));
        let row = seen.0.statics.iter().find(|row| row.id == wait.node_id).expect("it has a row");
        let module = seen.0.stacks.modules.get(row.module.0 as usize).expect("a module");
        let address = std::ptr::from_ref(&LOCK).addr() as u64;
        let offset = row.offset + module.base - address;
        assert!(offset < size_of::<Mutex<u64>>() as u64, "it is a word of it: {offset}");
        drop(guard);
    });
}

#[test]
fn futures_in_boxes_and_tasks_of_libraries_are_looked_into() {
    run(async {
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock().await;
        let wait = |lock: Arc<Mutex<()>>| async move { drop(lock.lock().await) };
        let boxed: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(wait(lock.clone()));
        named("boxed", boxed);
        rest().await;
        let large = wait(lock.clone());
        named("large", async move {
            let held = [1_u8; 40_000];
            large.await;
            std::hint::black_box(held);
        });
        rest().await;
        let library = tokio::spawn(wait(lock.clone()));
        let seen = Seen::now().await;
        let (boxed, large) = (seen.wait("boxed"), seen.wait("large"));
        assert_eq!((boxed.place, large.place, boxed.node()), (Some(0), Some(1), large.node()));
        let queue = seen.0.waits.iter().filter(|wait| wait.node() == boxed.node());
        let places: Vec<Option<u32>> = queue.map(|wait| wait.place).collect();
        assert_eq!(places.len(), 3, "that of the library is the third");
        assert!(places.contains(&Some(2)));
        drop(guard);
        library.await.expect("it ends");
    });
}

#[test]
fn who_waits_for_nothing_has_no_row() {
    run(async {
        named("idle", pending());
        named("sleeps", tokio::time::sleep(Duration::from_secs(1 << 20)));
        let seen = Seen::now().await;
        assert_eq!(seen.waits("idle"), []);
        let sleeps = seen.wait("sleeps");
        assert_eq!((sleeps.wait_for, sleeps.node()), (WaitFor::Timer, seen.node("sleeps")));
        // Nobody has asked for it.
        let snapshot = diag::snapshot().into_model();
        assert!(snapshot.capture.sweep.is_none() && snapshot.waits.is_empty() && snapshot.points.is_empty());
    });
}
