//! Futures inside of a task, recorded each by itself.

mod seen;

use std::future::{Future, pending, poll_fn};
use std::task::Poll;

use diag::task::track;
use diag_snapshot::{SiteKind, TaskState};
use futures_util::stream::{FuturesUnordered, StreamExt};
use seen::{Seen, seen};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::yield_now;

fn at(line: u32) -> Seen {
    seen(&diag::snapshot().into_model(), file!(), line)
}

#[tokio::test]
async fn children_show_beside_their_task_and_have_no_wakers_of_their_own() {
    let (parent, children) = (line!() + 1, line!() + 2);
    let task = diag::spawn(async {
        let child = |_| track(pending::<()>());
        let mut children: FuturesUnordered<_> = (0..3).map(child).collect();
        children.next().await;
    });
    yield_now().await;
    let (parent, children) = (at(parent).live[0], at(children));
    assert_eq!((children.site.kind, children.live.len()), (Some(SiteKind::Future), 3));
    for child in &children.live {
        assert_eq!((child.parent, child.parent_site), (Some(parent.id), Some(parent.site)));
        assert_eq!((child.state, child.polls, child.thread), (TaskState::Idle, 1, parent.thread));
        assert_eq!((child.wakers, child.wakes, child.handles, child.lost), (None, None, Some(0), None));
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn what_a_select_drops_is_counted_where_it_was_wrapped() {
    let line = line!() + 5;
    let turns = diag::spawn(async {
        for _ in 0..10 {
            tokio::select! {
                biased;
                () = track(pending()) => unreachable!(),
                () = yield_now() => {}
            }
        }
    });
    turns.await.unwrap();
    let Seen { site, ends, live } = at(line);
    assert_eq!((site.spawned, site.done, site.cancelled, live.len()), (10, 0, 10, 0));
    assert!(ends.len() == 10 && ends.iter().all(|end| end.polls == 2), "{ends:?}");
}

#[tokio::test]
async fn a_future_may_move_to_another_task() {
    let permits = std::sync::Arc::new(Semaphore::new(0));
    let wanted = std::sync::Arc::clone(&permits);
    let (line, mut moved) = (line!(), Box::pin(track(async move { wanted.acquire_owned().await.is_ok() })));
    let pending = poll_fn(|cx| Poll::Ready(moved.as_mut().poll(cx).is_pending())).await;
    assert!(pending);
    let (sender, mut receiver) = mpsc::channel(1);
    let task = diag::spawn(async move { sender.send(moved.await).await.unwrap() });
    yield_now().await;
    assert_eq!((at(line).live[0].polls, at(line).live[0].parent), (2, None));
    permits.add_permits(1);
    assert_eq!(receiver.recv().await, Some(true));
    task.await.unwrap();
    let site = at(line).site;
    assert_eq!((site.spawned, site.done, site.polls), (1, 1, 3));
}
