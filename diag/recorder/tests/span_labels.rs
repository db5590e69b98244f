//! Labels of spans in a snapshot, as `diag-tracing` says them: entered in each order that there is, on the thread that polls the task
//! and on others, beside the labels that tasks have already.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use diag::task::spans::{self, SpanLabels};
use diag::task::{Builder, JoinHandle, LocalSet, track};
use tokio::task::yield_now;

fn follow() {
    static ONCE: Once = Once::new();
    ONCE.call_once(spans::follow);
}

fn span(labels: &[(&str, &str)]) -> SpanLabels {
    let labels = labels.iter().fold(None, |rest, &(key, value)| SpanLabels::with(rest, key, value));
    labels.expect("there is room")
}

/// Polls a future inside of a span, as `Instrument` does.
async fn within<F: Future>(labels: SpanLabels, number: u64, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        labels.enter(number);
        let result = future.as_mut().poll(cx);
        spans::leave(number);
        result
    })
    .await
}

/// The labels of the live tasks whose names begin with that of the test.
#[track_caller]
fn check(test: &str, expected: &[(&str, &str)]) {
    let model = diag::snapshot().into_model();
    let mut found = BTreeMap::new();
    for task in model.tasks.iter() {
        let Some(name) = task.name.and_then(|name| model.strings.show(name).strip_prefix(test)) else {
            continue;
        };
        let labels: Vec<_> = model.labels_of(task.id).map(|(key, value)| format!("{key}={value}")).collect();
        found.insert(name.trim().to_owned(), labels.join(" "));
    }
    let expected = expected.iter().map(|&(name, labels)| (name.to_owned(), labels.to_owned()));
    assert_eq!(found, expected.collect());
}

fn spawn<F>(name: &str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    Builder::new().name(name).spawn(future).expect("never fails")
}

fn stay(name: &str) {
    drop(spawn(name, pending()));
}

async fn polled_once() {
    for _ in 0..8 {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_task_that_is_polled_in_a_span_has_its_labels() {
    follow();
    let request = span(&[("trace_id", "t"), ("request_id", "r1")]);
    spawn("polled bare", within(request.clone(), 1, pending()));
    let device = Builder::new().name("polled labelled").label("device", 17).label("request_id", "old");
    device.spawn(within(request.clone(), 1, pending::<()>())).expect("never fails");
    spawn("polled other", async {
        yield_now().await;
        pending().await
    });
    check("polled", &[("bare", ""), ("labelled", "request_id=old device=17"), ("other", "")]);
    polled_once().await;
    check(
        "polled",
        &[
            ("bare", "request_id=r1 trace_id=t"),
            ("labelled", "request_id=r1 trace_id=t device=17"),
            ("other", ""),
        ],
    );
}

#[tokio::test]
async fn what_is_spawned_in_a_span_has_its_labels_from_the_start() {
    follow();
    let request = span(&[("request_id", "r1")]);
    spawn("spawned parent", async move {
        stay("spawned before");
        let in_span = async {
            stay("spawned in");
            yield_now().await;
            stay("spawned in later");
        };
        within(request, 1, in_span).await;
        stay("spawned after");
        pending().await
    });
    let device = diag::scope("device", 17);
    let within_device = within(span(&[("request_id", "r2")]), 2, async {
        stay("spawned of both");
        let inner = diag::scope("part", 3);
        inner.in_scope(|| stay("spawned in a scope in a span"));
        inner
            .run(within(span(&[("request_id", "r3")]), 3, async { stay("spawned in a span in that") }))
            .await;
    });
    device.run(within_device).await;
    polled_once().await;
    stay("spawned outside");
    check(
        "spawned",
        &[
            ("parent", "request_id=r1"),
            ("before", ""),
            ("in", "request_id=r1"),
            ("in later", "request_id=r1"),
            ("after", ""),
            ("of both", "request_id=r2 device=17"),
            ("in a scope in a span", "part=3 request_id=r2 device=17"),
            ("in a span in that", "request_id=r3 part=3 device=17"),
            ("outside", ""),
        ],
    );
}

/// The last span that a task was polled in counts; what it was spawned with stays.
#[tokio::test]
async fn a_later_span_replaces_the_labels_of_an_earlier_one() {
    follow();
    for number in 0..3 {
        let own = if number == 0 { None } else { SpanLabels::with(None, "device", 17) };
        let many = async move {
            for request in 0..=number {
                within(span(&[("request_id", &format!("r{request}"))]), request, yield_now()).await;
            }
            pending().await
        };
        if let Some(own) = &own {
            own.enter(7);
        }
        spawn(&format!("replaced {number}"), many);
        spans::leave(7);
    }
    polled_once().await;
    let expected =
        [("0", "request_id=r0"), ("1", "request_id=r1 device=17"), ("2", "request_id=r2 device=17")];
    check("replaced", &expected);
}

#[tokio::test]
async fn spans_are_left_in_any_order() {
    follow();
    let (outer, inner) = (span(&[("request_id", "outer")]), span(&[("request_id", "inner")]));
    outer.enter(1);
    inner.enter(2);
    spans::leave(1);
    stay("order inner");
    outer.enter(1);
    spans::leave(2);
    stay("order outer");
    spans::leave(1);
    stay("order none");
    spans::leave(1);
    spans::leave(99);
    check("order", &[("inner", "request_id=inner"), ("outer", "request_id=outer"), ("none", "")]);
}

/// Entered in one poll and left in another, as `tracing` warns of: what other tasks spawn on the same thread is not of that span.
#[tokio::test]
async fn a_span_held_across_an_await_labels_its_task_alone() {
    follow();
    let held = span(&[("request_id", "held")]);
    spawn("held parent", async move {
        held.enter(1);
        stay("held before");
        yield_now().await;
        stay("held after");
        spans::leave(1);
        pending().await
    });
    spawn("held beside", async {
        stay("held child of another");
        pending().await
    });
    polled_once().await;
    stay("held outside");
    check(
        "held",
        &[
            ("parent", "request_id=held"),
            ("before", "request_id=held"),
            ("after", ""),
            ("beside", ""),
            ("child of another", ""),
            ("outside", ""),
        ],
    );
}

#[tokio::test]
async fn labels_that_come_late_are_there_too() {
    follow();
    spawn("late parent", async {
        span(&[("tenant_id", "acme")]).enter(1);
        span(&[("tenant_id", "acme"), ("request_id", "r1")]).renew(1);
        stay("late child");
        span(&[("request_id", "r2")]).renew(2);
        spans::leave(1);
        pending().await
    });
    polled_once().await;
    let both = "request_id=r1 tenant_id=acme";
    check("late", &[("parent", both), ("child", both)]);
}

#[tokio::test]
async fn futures_threads_and_local_tasks_are_labelled_as_tasks_are() {
    follow();
    let of = |number: &str| span(&[("request_id", number)]);
    let local = LocalSet::new();
    let inside = async {
        let future = Builder::new().name("kinds local");
        future.spawn_local(within(of("local"), 1, pending::<()>())).expect("never fails");
        polled_once().await;
    };
    local.run_until(inside).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (entered, is_entered) = std::sync::mpsc::channel::<()>();
    let blocking = Builder::new().name("kinds blocking").spawn_blocking(move || {
        of("blocking").enter(2);
        let _ = entered.send(());
        let _ = released.recv();
        spans::leave(2);
    });
    is_entered.recv().expect("it runs");
    check("kinds", &[("local", "request_id=local"), ("blocking", "request_id=blocking")]);
    drop(release);
    blocking.expect("never fails").await.expect("it ends");

    // A future that is made outside of a span and polled in it.
    within(of("around"), 3, async {
        let mut inside = Box::pin(track(async {
            stay("kinds of a future");
            pending::<()>().await
        }));
        let line = format!("tests/span_labels.rs:{}:", line!() - 4);
        assert!(poll_fn(|cx| Poll::Ready(inside.as_mut().poll(cx).is_pending())).await);
        stay("kinds beside a future");
        let model = diag::snapshot().into_model();
        let of_line = model.tasks.iter().filter(|task| model.site_location(task.site).contains(&line));
        let labels: Vec<_> = of_line.flat_map(|task| model.labels_of(task.id)).collect();
        assert_eq!(labels, [("request_id", "around")]);
        let around = "request_id=around";
        let both = [("beside a future", around), ("of a future", around), ("local", "request_id=local")];
        check("kinds", &both);
    })
    .await;

    // Each of several futures of one task has a record of its own, and labels of its own.
    let line = line!() + 1;
    let request = |n: u32| Box::pin(track(within(of(&format!("r{n}")), n.into(), pending::<()>())));
    let mut requests: Vec<_> = (0..3).map(request).collect();
    let poll_all = |cx: &mut std::task::Context<'_>| {
        assert!(requests.iter_mut().all(|request| request.as_mut().poll(cx).is_pending()));
        Poll::Ready(())
    };
    poll_fn(poll_all).await;
    let model = diag::snapshot().into_model();
    let place = format!("tests/span_labels.rs:{line}:");
    let of_line = model.tasks.iter().filter(|task| model.site_location(task.site).contains(&place));
    let labels: Vec<_> = of_line.flat_map(|task| model.labels_of(task.id)).collect();
    assert_eq!(labels, [("request_id", "r0"), ("request_id", "r1"), ("request_id", "r2")]);
}

/// More spans than are kept: what is spawned in the innermost has its labels, and the rest is counted.
#[tokio::test]
async fn many_spans_in_each_other_are_bounded() {
    follow();
    for number in 0..40 {
        span(&[("request_id", &format!("r{number}"))]).enter(number);
    }
    stay("many innermost");
    (0..40).rev().for_each(spans::leave);
    stay("many outside");
    check("many", &[("innermost", "request_id=r39"), ("outside", "")]);
    assert!(diag::snapshot().into_model().capture.dropped["labels_not_inherited"] >= 24);
}

/// A task that is labelled anew in each poll, beside captures that read its labels.
#[test]
fn captures_beside_polls_read_whole_labels() {
    follow();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let spins = async move {
        let mut ended = pin!(ended);
        for request in 0_u64.. {
            let value = format!("r{request}-{}", "x".repeat((request % 64) as usize));
            within(span(&[("request_id", &value), ("same", &value)]), request, yield_now()).await;
            if poll_fn(|cx| Poll::Ready(ended.as_mut().poll(cx).is_ready())).await {
                return;
            }
        }
    };
    let task = runtime.spawn(async { Builder::new().name("torn").spawn(spins).expect("never fails").await });
    let read = || {
        let mut labels = 0;
        for _ in 0..300 {
            let model = diag::snapshot().into_model();
            let of_name = |name| model.strings.show(name) == "torn";
            let Some(task) = model.tasks.iter().find(|task| task.name.is_some_and(of_name)) else { continue };
            let found: Vec<_> = model.labels_of(task.id).collect();
            if let [(_, one), (_, other)] = found[..] {
                assert_eq!(one, other);
                assert!(one.starts_with('r') && one.trim_end_matches('x').ends_with('-'), "{one}");
                labels += 1;
            }
        }
        labels
    };
    let labels: u32 = std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        readers.map(|reader| reader.join().expect("no reader panics")).iter().sum()
    });
    assert!(labels > 300, "{labels} readings found some");
    end.send(()).expect("it runs");
    runtime.block_on(task).expect("it ends").expect("it ends");
}
