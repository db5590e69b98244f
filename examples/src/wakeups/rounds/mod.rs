//! Rounds of healthy work: each ends by itself, and waits on the way for one kind of leaf or several.

mod channels;
mod io;
mod locks;
mod several;
mod tasks;
mod time;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::workload::World;

type Round = fn(Arc<World>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const ROUNDS: &[Round] = &[
    |_| Box::pin(channels::ping_pong()),
    |_| Box::pin(channels::unbounded()),
    |_| Box::pin(channels::full()),
    |_| Box::pin(channels::oneshots()),
    |_| Box::pin(channels::watched()),
    |_| Box::pin(channels::broadcasts()),
    |_| Box::pin(channels::turns()),
    |_| Box::pin(channels::all_notified()),
    |_| Box::pin(locks::semaphore()),
    |_| Box::pin(locks::mutex()),
    |_| Box::pin(locks::rwlock()),
    |_| Box::pin(locks::barrier()),
    |_| Box::pin(locks::once()),
    |_| Box::pin(io::tcp()),
    |_| Box::pin(io::unix()),
    |_| Box::pin(io::duplex()),
    |_| Box::pin(time::sleeps()),
    |_| Box::pin(time::ticks()),
    |_| Box::pin(time::timeouts()),
    |_| Box::pin(time::put_off()),
    |world| Box::pin(several::selects(world)),
    |world| Box::pin(several::joins(world)),
    |world| Box::pin(several::unordered(world)),
    |_| Box::pin(several::tracked()),
    |_| Box::pin(tasks::join_set()),
    |_| Box::pin(tasks::abort_storm()),
    |_| Box::pin(tasks::blocking()),
    |_| Box::pin(tasks::budgets()),
    |_| Box::pin(tasks::yields()),
    |_| Box::pin(tasks::own_cells()),
    |world| Box::pin(tasks::elsewhere(world)),
    |world| Box::pin(tasks::other_thread(world)),
];

/// One round of a random kind.
pub(super) async fn any(world: &Arc<World>) {
    ROUNDS[fastrand::usize(..ROUNDS.len())](Arc::clone(world)).await;
}

/// Lets a random time go by, mostly none.
async fn pause() {
    match fastrand::u32(..16) {
        0 => tokio::time::sleep(Duration::from_micros(fastrand::u64(..1_500))).await,
        1..4 => tokio::task::yield_now().await,
        4 => diag::task::yield_now().await,
        _ => {}
    }
}

/// A small number, at least one.
fn few() -> usize {
    fastrand::usize(1..12)
}

/// Waits for children that cannot fail.
async fn join<T>(children: Vec<diag::task::JoinHandle<T>>) -> Vec<T> {
    let mut values = Vec::with_capacity(children.len());
    for child in children {
        match child.await {
            Ok(value) => values.push(value),
            Err(error) => panic!("a child failed: {error}"),
        }
    }
    values
}
