// A mill for reports: fetchers, a set of grinders, a closure that hashes, a clerk that owns what is not
// `Send`. Reads like code that people have, and uses all of `task` on the way.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

tokio::task_local! {
    static REPORT: u32;
}

/// Everything that the mill found out, in words.
pub(super) fn run() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut answers = runtime.block_on(async {
        let mut mill = Mill::start();
        vec![
            mill.grind().await,
            mill.hash().await,
            mill.close().await,
            fetch_all().await,
            what_fails().await,
            sets().await,
            sets_that_stop().await,
            names().await,
            cooperative().await,
            borrowed().await,
        ]
    });
    answers.push(clerk(&runtime));
    answers.push(clerks_of_a_set(&runtime));
    answers
}

struct Mill {
    grinders: task::JoinSet<u64>,
    janitor: task::JoinHandle<&'static str>,
    stop: task::AbortHandle,
    results: mpsc::Receiver<u64>,
}

impl Mill {
    fn start() -> Self {
        let (sender, results) = mpsc::channel(4);
        let janitor = task::spawn(async {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            "swept"
        });
        let mut grinders = task::JoinSet::default();
        for grain in 1..=4 {
            let sender = sender.clone();
            grinders.spawn(async move {
                task::yield_now().await;
                sender.send(grain * 10).await.unwrap();
                grain
            });
        }
        Mill { grinders, stop: janitor.abort_handle(), janitor, results }
    }

    async fn grind(&mut self) -> String {
        let mut ground = BTreeSet::new();
        while let Some(result) = self.results.recv().await {
            ground.insert(result);
        }
        let mut sum = 0;
        while let Some(joined) = self.grinders.join_next().await {
            sum += joined.unwrap();
        }
        format!("{ground:?}, sum {sum}, {} left", self.grinders.len())
    }

    async fn hash(&self) -> String {
        let hash = task::spawn_blocking(|| (0..1_000_u64).fold(7, |hash: u64, n| hash.wrapping_mul(31) ^ n));
        let in_place = task::spawn(async { task::block_in_place(|| 6 * 7) });
        let (hash, in_place) = tokio::try_join!(hash, in_place).unwrap();
        format!("hash {hash}, in place {in_place}")
    }

    async fn close(self) -> String {
        let is_finished = self.janitor.is_finished();
        assert_eq!(self.stop.id(), self.janitor.id());
        self.stop.clone().abort();
        let error = self.janitor.await.unwrap_err();
        format!(
            "finished {is_finished}, then cancelled {}, {}",
            error.is_cancelled(),
            self.stop.is_finished()
        )
    }
}

/// Generic over the future, with the handle's type written out.
fn spawn_all<F>(fetches: Vec<F>) -> Vec<task::JoinHandle<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fetches.into_iter().map(task::spawn).collect()
}

async fn fetch_all() -> String {
    let handles = spawn_all((1..=3).map(|n| async move { n * n }).collect());
    let squares: Vec<_> =
        futures_util::future::join_all(handles).await.into_iter().map(Result::unwrap).collect();
    let mut slow = task::spawn(std::future::pending::<()>());
    let first = tokio::select! {
        biased;
        _ = &mut slow => "slow",
        () = task::yield_now() => "yielded",
    };
    slow.abort();
    format!("{squares:?}, first {first}, {}", slow.await.unwrap_err().is_cancelled())
}

async fn what_fails() -> String {
    let handle = task::spawn(async {
        std::panic::resume_unwind(Box::new("out of grain"));
    });
    let id = handle.id();
    let error: task::JoinError = handle.await.unwrap_err();
    assert_eq!(error.id(), id);
    let (is_panic, why) = (error.is_panic(), error.try_into_panic().unwrap());
    let failed = task::spawn_blocking(|| std::panic::resume_unwind(Box::new(3_u8))).await;
    let code = *failed.unwrap_err().into_panic().downcast::<u8>().unwrap();
    format!("{is_panic}: {:?}, {code}", why.downcast_ref::<&str>())
}

async fn sets() -> String {
    let mut set: task::JoinSet<u32> = (1..=3).map(|n| async move { n }).collect();
    set.extend([std::future::ready(4)]);
    set.spawn_on(async { 5 }, &Handle::current());
    set.spawn_blocking(|| 6);
    set.spawn_blocking_on(|| 7, &Handle::current());
    let len = set.len();
    let (id, first) = set.join_next_with_id().await.unwrap().unwrap();
    assert_ne!(Some(id), task::try_id());
    let second = poll_fn(|cx| set.poll_join_next(cx)).await.unwrap().unwrap();
    let (_, third) = poll_fn(|cx| set.poll_join_next_with_id(cx)).await.unwrap().unwrap();
    let rest: u32 = set.join_all().await.into_iter().sum();
    let mut one = task::JoinSet::new();
    let handle: task::AbortHandle = one.spawn(async { 1 });
    let tried = loop {
        if let Some(joined) = one.try_join_next_with_id() {
            break joined.unwrap();
        }
        task::yield_now().await;
    };
    assert_eq!(tried.0, handle.id());
    let nothing = (one.try_join_next().is_none(), one.is_empty(), one.join_next().await.is_none());
    format!("{len}: {}, {}, {nothing:?}", first + second + third + rest, tried.1)
}

async fn sets_that_stop() -> String {
    let mut set = task::JoinSet::new();
    let handles: Vec<_> = (0..3).map(|_| set.spawn(std::future::pending::<()>())).collect();
    handles[0].abort();
    let one = set.join_next().await.unwrap().unwrap_err().is_cancelled();
    set.abort_all();
    set.shutdown().await;
    let all = handles.iter().all(task::AbortHandle::is_finished);
    let (sender, receiver) = oneshot::channel();
    let mut set = task::JoinSet::new();
    let detached = set.spawn(receiver);
    set.detach_all();
    drop(set);
    sender.send(()).unwrap();
    while !detached.is_finished() {
        task::yield_now().await;
    }
    format!("{one}, {all}, detached")
}

async fn names() -> String {
    let handle = task::spawn(async { (task::id(), task::try_id()) });
    let id: task::Id = handle.id();
    let same = handle.await.unwrap() == (id, Some(id));
    let scoped: task::futures::TaskLocalFuture<u32, _> = REPORT.scope(8, async { REPORT.get() });
    let key: &'static task::LocalKey<u32> = &REPORT;
    format!("{same}, {:?}, {}, {}", task::try_id(), scoped.await, key.try_with(|n| *n).is_err())
}

async fn cooperative() -> String {
    let (mut yields, mut budgets) = (0, 0);
    let mut work = Box::pin(async {
        for _ in 0..300 {
            task::consume_budget().await;
        }
    });
    poll_fn(|cx| {
        budgets += usize::from(task::coop::has_budget_remaining());
        let poll = work.as_mut().poll(cx);
        yields += usize::from(poll.is_pending());
        poll
    })
    .await;
    let unconstrained: task::Unconstrained<_> = task::unconstrained(async {
        for _ in 0..300 {
            task::coop::consume_budget().await;
        }
        "through"
    });
    let mut unconstrained = Box::pin(unconstrained);
    let at_once = poll_fn(|cx| Poll::Ready(unconstrained.as_mut().poll(cx))).await;
    format!("{yields} yields, {budgets} budgets, {at_once:?}")
}

/// What else people write bounds for.
async fn borrowed() -> String {
    fn is_send_and_sync<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>(_: &T) {}
    fn is_a_set<T: Send + Sync + Unpin + std::fmt::Debug>(_: &T) {}
    fn finished(handles: &[&task::JoinHandle<()>]) -> usize {
        handles.iter().filter(|handle| handle.is_finished()).count()
    }
    let handle = task::spawn(async {});
    is_send_and_sync(&handle);
    is_send_and_sync(&handle.abort_handle());
    is_a_set(&task::JoinSet::<()>::new());
    while finished(&[&handle]) == 0 {
        task::yield_now().await;
    }
    let shown = format!("{handle:?}").contains("JoinHandle");
    format!("{shown}, {:?}", handle.await)
}

/// Keeps a ledger that is not `Send`, on a set of its own.
fn clerk(runtime: &Runtime) -> String {
    let ledger = Rc::new(RefCell::new(Vec::new()));
    let set = task::LocalSet::new();
    let entry = |name: &'static str| {
        let ledger = Rc::clone(&ledger);
        async move {
            task::yield_now().await;
            ledger.borrow_mut().push(name);
        }
    };
    set.spawn_local(entry("spawned before it runs"));
    set.block_on(runtime, async {
        task::spawn_local(entry("spawned by a task")).await.unwrap();
    });
    let last: task::JoinHandle<()> = {
        let _guard: task::LocalEnterGuard = set.enter();
        task::spawn_local(entry("spawned inside of the guard"))
    };
    runtime.block_on(set.run_until(last)).unwrap();
    runtime.block_on(set);
    format!("{:?}", Rc::into_inner(ledger).unwrap().into_inner())
}

fn clerks_of_a_set(runtime: &Runtime) -> String {
    let (local, shared) = (task::LocalSet::default(), Rc::new(5));
    local.block_on(runtime, async {
        let mut set = task::JoinSet::new();
        let (one, two) = (Rc::clone(&shared), Rc::clone(&shared));
        set.spawn_local(async move { *one });
        set.spawn_local_on(async move { *two + 1 }, &local);
        let mut values = set.join_all().await;
        values.sort_unstable();
        format!("{values:?}")
    })
}
