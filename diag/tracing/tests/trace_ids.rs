//! Where nobody gives a trace id one is made, once for each request, and all its tasks have it.

use std::collections::BTreeMap;
use std::future::pending;

use diag::task::Builder;
use tracing::info_span;
use tracing_subscriber::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn stay(name: &str) {
    Builder::new().name(name).spawn(pending::<()>()).expect("never fails");
}

#[tokio::test]
async fn a_trace_id_is_made_if_there_is_none() {
    let subscriber = tracing_subscriber::registry().with(diag_tracing::Layer::new());
    tracing::subscriber::set_global_default(subscriber).expect("the first");
    info_span!("request", request_id = "r1").in_scope(|| {
        stay("one");
        info_span!("part", job_id = 7).in_scope(|| stay("one inside"));
        let current = diag_tracing::current_trace_id().expect("one is made");
        assert_eq!(current.len(), 32);
    });
    info_span!("request", request_id = "r1").in_scope(|| stay("another"));
    let uuid = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";
    info_span!("request", request_id = uuid).in_scope(|| stay("by request"));
    info_span!("request", trace_id = "given", request_id = uuid).in_scope(|| stay("given"));
    info_span!("nothing", path = "/").in_scope(|| stay("none"));

    let model = diag::snapshot().into_model();
    let trace_of = |task: diag_snapshot::TaskId| model.labels_of(task).find(|(key, _)| *key == "trace_id");
    let tasks = model.tasks.iter().filter_map(|task| Some((model.strings.show(task.name?), task.id)));
    let traces: BTreeMap<&str, Option<&str>> =
        tasks.map(|(name, id)| (name, trace_of(id).map(|(_, value)| value))).collect();
    assert_eq!(traces["one"], traces["one inside"]);
    assert_ne!(traces["one"], traces["another"]);
    assert_eq!((traces["by request"], traces["given"], traces["none"]), (Some(TRACE), Some("given"), None));
    let is_made = |trace: &str| trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(traces["one"].is_some_and(is_made) && traces["another"].is_some_and(is_made));
}
