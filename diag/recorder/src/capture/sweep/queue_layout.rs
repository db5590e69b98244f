//! How this build's tokio lays out the queues in which tasks wait: of permits (locks, semaphores, room in channels), and of
//! `Notify`.
//!
//! A waiting future has the node of the queue in itself, and in the node its waker. So from a waker that lies in a task one
//! comes to the queue, to what it belongs to, and to all others that wait there. Where the parts of a node are is learnt
//! from three futures that wait for one thing that is made for that, and never assumed.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Notify, Semaphore};

use crate::runtime;
use crate::sys::own_memory;

/// A node is searched so far around its waker, in bytes.
pub(super) const AROUND: i64 = 128;

/// Of one kind of queue. Offsets of a node count from its start, which is what others point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueLayout {
    /// Of the waker.
    pub(super) waker: i64,
    /// Of the pointer to the node that came before, and to the one that came after; a new one is the first.
    pub(super) next: i64,
    pub(super) prev: i64,
    /// Of the word that leads to the owner of the queue, as far as more than one may be that.
    pub(super) owners: Vec<Owner>,
    /// Of the permits that it still lacks.
    pub(super) lacks: Option<i64>,
}

/// A way from a node to its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Where in the node the pointer is.
    pub(super) at: i64,
    /// From there the newest and the oldest node.
    pub(super) head: i64,
    pub(super) tail: i64,
    /// And the number of permits, by two.
    pub(super) permits: Option<i64>,
}

/// What was learnt; nothing of a kind that looks otherwise than expected.
#[derive(Clone, Debug, Default)]
pub(super) struct Layouts {
    pub(super) permits: Option<QueueLayout>,
    pub(super) notify: Option<QueueLayout>,
    /// Where the address of its runtime is in a timer, counted from the timer's waker.
    pub(super) timer: Option<i64>,
    /// True if a waker is its data and then its table.
    pub(super) data_first: bool,
}

impl Layouts {
    /// Makes what can be waited for, and looks.
    pub(super) fn learn() -> Self {
        let data_first = data_first();
        Layouts {
            permits: permits(data_first),
            notify: notify(data_first),
            timer: timer(data_first),
            data_first,
        }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);
/// What the wakers of the three futures point to.
static DATA: [[u8; 64]; 3] = [[1; 64], [2; 64], [3; 64]];

unsafe fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &TABLE)
}

unsafe fn nothing(_: *const ()) {}

fn waker(i: usize) -> Waker {
    // SAFETY: the functions do nothing, with statics.
    unsafe { Waker::from_raw(clone(DATA[i].as_ptr().cast())) }
}

fn data_first() -> bool {
    let waker = waker(0);
    // SAFETY: a waker is the two words that it is made of.
    let words = unsafe { std::mem::transmute_copy::<Waker, [usize; 2]>(&waker) };
    words[0] == DATA[0].as_ptr().addr()
}

fn permits(data_first: bool) -> Option<QueueLayout> {
    let counted = Box::new(Semaphore::new(5));
    let five = memory(&*counted);
    let words = read(&five)?;
    let mut tens = (0..).zip(&words).filter(|(_, word)| **word == 5 << 1).map(|(at, _)| at * 8);
    let permits_at = tens.next().filter(|_| tens.next().is_none());
    let semaphore = Box::new(Semaphore::new(0));
    let owner = memory(&*semaphore);
    let mut futures = [2, 3, 4].map(|some| Box::pin(semaphore.acquire_many(some)));
    let (mut layout, nodes, head) = queue(&mut futures, &owner, data_first)?;
    for way in &mut layout.owners {
        way.permits = permits_at.map(|at| at + way.head - head);
    }
    // The oldest gets one of its two.
    semaphore.add_permits(1);
    let futures = futures.each_ref().map(|future| memory(&**future));
    let lacks = |at: i64| {
        let lacks = |i: usize| word(&futures[i], &read(&futures[i])?, nodes[i] + at);
        [0, 1, 2].map(lacks) == [1, 3, 4].map(Some)
    };
    layout.lacks = (-AROUND..=AROUND).step_by(8).find(|&at| lacks(at));
    Some(layout)
}

fn notify(data_first: bool) -> Option<QueueLayout> {
    let notify = Box::new(Notify::new());
    let owner = memory(&*notify);
    let mut futures = [(); 3].map(|()| Box::pin(notify.notified()));
    queue(&mut futures, &owner, data_first).map(|(layout, ..)| layout)
}

/// A timer of a runtime that runs nothing.
fn timer(data_first: bool) -> Option<i64> {
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let found = {
        let _entered = runtime.enter();
        let mut sleep = Box::pin(tokio::time::sleep(Duration::from_secs(1 << 20)));
        if sleep.as_mut().poll(&mut Context::from_waker(&waker(0))).is_ready() {
            return None;
        }
        let range = memory(&*sleep);
        let words = read(&range)?;
        let own = runtime::words_of(runtime.handle());
        let waker = waker_among(0, &words, data_first)?;
        let mut at = (0..).zip(&words).filter(|(_, word)| own.contains(word)).map(|(at, _)| (at - waker) * 8);
        at.next()
    };
    runtime.shutdown_background();
    found
}

/// Which of the words is the first of that one's waker, if one of them is.
fn waker_among(i: usize, words: &[u64], data_first: bool) -> Option<i64> {
    let table = std::ptr::from_ref(&TABLE).addr() as u64;
    let data = DATA[i].as_ptr().addr() as u64;
    let pair = if data_first { [data, table] } else { [table, data] };
    let mut found = (0..).zip(words.windows(2)).filter(|(_, two)| **two == pair).map(|(at, _)| at);
    let at = found.next()?;
    found.next().is_none().then_some(at)
}

/// The word at this address, in a range that holds these.
fn word(range: &Range<u64>, words: &[u64], address: i64) -> Option<i64> {
    let at = address.checked_sub(range.start as i64).filter(|at| *at >= 0 && at % 8 == 0)?;
    words.get(at as usize / 8).map(|word| *word as i64)
}

fn memory<T>(value: &T) -> Range<u64> {
    let start = std::ptr::from_ref(value).addr() as u64;
    start..start + size_of::<T>() as u64
}

fn read(range: &Range<u64>) -> Option<Vec<u64>> {
    let mut words = vec![0; ((range.end - range.start) / 8) as usize];
    (own_memory::read_some(range.start, &mut words) == words.len()).then_some(words)
}

/// The layout of the queue of `owner`, in which these wait, one after the other; their nodes, and where in the owner the newest
/// one's address is.
fn queue<F: Future>(
    futures: &mut [Pin<Box<F>>; 3],
    owner: &Range<u64>,
    data_first: bool,
) -> Option<(QueueLayout, [i64; 3], i64)> {
    for (i, future) in futures.iter_mut().enumerate() {
        if future.as_mut().poll(&mut Context::from_waker(&waker(i))).is_ready() {
            return None;
        }
    }
    let ranges = futures.each_ref().map(|future| memory(&**future));
    let words = [read(&ranges[0])?, read(&ranges[1])?, read(&ranges[2])?];
    let word = |i: usize, address: i64| word(&ranges[i], &words[i], address);
    let waker_of = |i: usize| Some(ranges[i].start as i64 + 8 * waker_among(i, &words[i], data_first)?);
    let wakers = [waker_of(0)?, waker_of(1)?, waker_of(2)?];
    let owned = read(owner)?;
    let in_owner = |i: usize| {
        let mut found = (0..).zip(&owned).filter(|(_, word)| ranges[i].contains(word));
        let (at, node) = found.next()?;
        found.next().is_none().then_some((at * 8_i64, *node as i64))
    };
    let ((tail, oldest), (head, newest)) = (in_owner(0)?, in_owner(2)?);
    let waker = wakers[0] - oldest;
    let nodes = [oldest, wakers[1] - waker, newest];
    if wakers[2] - newest != waker {
        return None;
    }
    let around = || (-AROUND..=AROUND).step_by(8);
    let holds = |at: i64, expected: [i64; 3]| (0..3).all(|i| word(i, nodes[i] + at) == Some(expected[i]));
    let next = around().find(|&at| holds(at, [0, nodes[0], nodes[1]]))?;
    let prev = around().find(|&at| holds(at, [nodes[1], nodes[2], 0]))?;
    let owners = around().filter_map(|at| {
        let to = word(0, nodes[0] + at).filter(|to| owner.contains(&(*to as u64)))?;
        let way = Owner {
            at,
            head: owner.start as i64 + head - to,
            tail: owner.start as i64 + tail - to,
            permits: None,
        };
        holds(at, [to; 3]).then_some(way)
    });
    let owners: Vec<Owner> = owners.collect();
    let layout = QueueLayout { waker, next, prev, owners, lacks: None };
    (!layout.owners.is_empty()).then_some((layout, nodes, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_queue_are_learnt_from_this_tokio() {
        let layouts = Layouts::learn();
        let permits = layouts.permits.clone().expect("a semaphore's");
        assert!(
            permits.lacks.is_some() && permits.owners.iter().all(|way| way.permits.is_some()),
            "{permits:?}"
        );
        assert!(layouts.notify.is_some() && layouts.timer.is_some(), "{layouts:?}");
    }
}
