//! Tasks have the labels of the spans that they are spawned or polled in, to the label.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::Once;

use diag::task::{Builder, JoinHandle};
use tokio::task::yield_now;
use tracing::{Instrument, Span, field::Empty, info_span};
use tracing_subscriber::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn subscribe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let layer = diag_tracing::Layer::new().field("order").without_made_trace_ids();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .expect("the first");
    });
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

/// Labels of the live tasks whose names begin with that of the test, by their keys.
#[track_caller]
fn check(test: &str, expected: &[(&str, &str)]) {
    let model = diag::snapshot().into_model();
    let mut found = BTreeMap::new();
    for task in model.tasks.iter() {
        let Some(name) = task.name.and_then(|name| model.strings.show(name).strip_prefix(test)) else {
            continue;
        };
        let labels: BTreeMap<_, _> = model.labels_of(task.id).collect();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        found.insert(name.trim().to_owned(), labels.join(" "));
    }
    let expected = expected.iter().map(|&(name, labels)| (name.to_owned(), labels.to_owned()));
    assert_eq!(found, expected.collect());
}

#[tokio::test]
async fn spawned_or_polled_in_a_span() {
    subscribe();
    let request = info_span!("request", request_id = "r1", path = "/secret", order = 17);
    request.in_scope(|| stay("both spawned"));
    spawn("both polled", pending::<()>().instrument(request.clone()));
    let grandchild = async {
        stay("both grandchild");
        pending().await
    };
    request.in_scope(|| spawn("both child", grandchild));
    spawn("both other span", pending::<()>().instrument(info_span!("other", path = "/")));
    stay("both none");
    polled_once().await;
    let labels = "order=17 request_id=r1";
    let expected = [
        ("spawned", labels),
        ("polled", labels),
        ("child", labels),
        ("grandchild", labels),
        ("other span", ""),
        ("none", ""),
    ];
    check("both", &expected);
}

#[tokio::test]
async fn spans_in_spans() {
    subscribe();
    let nested = async {
        stay("nested outer");
        let inner = info_span!("part", order = 3);
        inner.in_scope(|| {
            stay("nested inner");
            info_span!("again", request_id = "r2").in_scope(|| stay("nested innermost"));
            info_span!(parent: None, "root", order = 4).in_scope(|| stay("nested root"));
            info_span!("without").in_scope(|| stay("nested without"));
            stay("nested inner later");
        });
        let detached = info_span!("db", order = 5);
        spawn("nested detached", pending::<()>().instrument(detached));
        stay("nested outer later");
        pending().await
    };
    spawn("nested parent", nested.instrument(info_span!("request", request_id = "r1")));
    polled_once().await;
    let expected = [
        ("parent", "order=3 request_id=r1"),
        ("outer", "request_id=r1"),
        ("inner", "order=3 request_id=r1"),
        ("innermost", "order=3 request_id=r2"),
        ("root", "order=4"),
        ("without", "order=3 request_id=r1"),
        ("inner later", "order=3 request_id=r1"),
        ("detached", "order=5 request_id=r1"),
        ("outer later", "request_id=r1"),
    ];
    check("nested", &expected);
}

/// The span is over, and the task is still of that request; a task of several has the last one's.
#[tokio::test]
async fn a_span_closed_before_its_task_ends() {
    subscribe();
    spawn("closed one", async {
        async { yield_now().await }.instrument(info_span!("request", request_id = "r1")).await;
        stay("closed spawned after");
        pending().await
    });
    spawn("closed several", async {
        for request in 1..4 {
            let request = info_span!("request", request_id = format!("r{request}"));
            async { yield_now().await }.instrument(request).await;
        }
        pending().await
    });
    let request = info_span!("request", request_id = "r7");
    request.in_scope(|| stay("closed spawned"));
    drop(request);
    polled_once().await;
    let expected = [
        ("one", "request_id=r1"),
        ("spawned after", ""),
        ("several", "request_id=r3"),
        ("spawned", "request_id=r7"),
    ];
    check("closed", &expected);
}

/// What `tracing` warns of: a guard that lives across an `.await`.
#[tokio::test]
async fn a_span_entered_across_an_await() {
    subscribe();
    let local = tokio::task::LocalSet::new();
    let held = async {
        let request = info_span!("request", request_id = "r1");
        let entered = request.enter();
        stay("across before");
        yield_now().await;
        stay("across after");
        drop(entered);
        stay("across left");
        pending::<()>().await;
    };
    let inside = async {
        Builder::new().name("across task").spawn_local(held).expect("never fails");
        Builder::new().name("across beside").spawn_local(pending::<()>()).expect("never fails");
        polled_once().await;
    };
    local.run_until(inside).await;
    let expected =
        [("task", "request_id=r1"), ("before", "request_id=r1"), ("after", ""), ("left", ""), ("beside", "")];
    check("across", &expected);
}

#[tokio::test]
async fn a_field_that_is_recorded_later() {
    subscribe();
    let request = info_span!("request", request_id = Empty, path = Empty, order = 1);
    let late = async {
        stay("late before");
        Span::current().record("path", "/secret");
        Span::current().record("request_id", "r1");
        stay("late after");
        pending().await
    };
    spawn("late task", late.instrument(request));
    polled_once().await;
    let both = "order=1 request_id=r1";
    check("late", &[("task", both), ("before", "order=1"), ("after", both)]);
}

#[tokio::test]
async fn a_caller_that_says_its_trace() {
    subscribe();
    let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for (name, header) in
        [("caller good", &*header), ("caller later version", &format!("cc{}-x", &header[2..]))]
    {
        info_span!("request", traceparent = header).in_scope(|| {
            stay(name);
            assert_eq!(diag_tracing::current_trace_id().as_deref(), Some(TRACE));
        });
    }
    let bad = header.to_uppercase();
    info_span!("request", traceparent = %bad, request_id = "r1").in_scope(|| stay("caller bad"));
    assert_eq!(diag_tracing::current_trace_id(), None);
    let ids = format!("span_id=00f067aa0ba902b7 trace_id={TRACE}");
    check("caller", &[("good", &ids), ("later version", &ids), ("bad", "request_id=r1")]);
}

/// Several requests on as many threads as there are: no label is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_side_by_side() {
    subscribe();
    let request = |n: u32| {
        let work = async move {
            for part in 0..4 {
                yield_now().await;
                stay(&format!("side {n}.{part}"));
            }
        };
        spawn("beside", work.instrument(info_span!("request", request_id = n)))
    };
    let requests: Vec<_> = (0..64).map(request).collect();
    for request in requests {
        request.await.expect("it ends");
    }
    let names =
        (0..64).flat_map(|n| (0..4).map(move |part| (format!("{n}.{part}"), format!("request_id={n}"))));
    let expected: Vec<_> = names.collect();
    check("side", &expected.iter().map(|(name, labels)| (&**name, &**labels)).collect::<Vec<_>>());
}
