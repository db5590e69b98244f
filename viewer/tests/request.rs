//! The tasks of one request, on the page, in its twin and on the command line; and the trace in the lines of a report.

mod site;

use std::process::Command;

use axum::http::StatusCode;
use diag_snapshot::{LabelRow, Snapshot};
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};
use serde_json::Value;
use site::Folder;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A service that leaks, and what each of its live tasks is labelled with, by its number.
fn labelled(now: f64, labels: impl Fn(u64) -> Vec<(&'static str, String)>) -> Snapshot {
    let healthy = Churn { until: 60.0, ..Churn::default() }.tasks();
    let leak = Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks();
    let mut snapshot = Service::new(in_order([healthy, leak].concat())).at(now);
    let ids: Vec<_> = snapshot.tasks.iter().map(|task| task.id).collect();
    for task in ids {
        for (key, value) in labels(task.0) {
            let [key, value] = [key, &value].map(|text| snapshot.strings.intern(text));
            snapshot.labels.push(LabelRow { task, key, value });
        }
    }
    snapshot
}

/// Every fourth task is of one request.
fn of_requests(id: u64) -> Vec<(&'static str, String)> {
    vec![("request_id", format!("r-{}", id % 4)), ("trace_id", TRACE.to_owned())]
}

/// The code and what is printed and said.
fn diag(folder: &Folder, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.current_dir(&**folder).args(args).env_remove("DIAG_TOKEN").env_remove("TRACEPARENT");
    let output = command.output().expect("the program runs");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    (output.status.code(), out, err)
}

#[tokio::test]
async fn a_request_has_its_tasks_on_every_side() {
    let folder = Folder::new("request");
    let b = folder.write("b.diag", &labelled(30.0, of_requests));
    let viewer = folder.viewer();
    let shown = |args: &[&str]| {
        let (code, out, err) = diag(&folder, &[&["show", "b.diag", "--request"], args].concat());
        assert_eq!((code, &*err), (Some(0), ""));
        out
    };
    let json: Value = serde_json::from_str(&shown(&["r-1", "--format", "json"])).expect("JSON");
    let tasks = json["tasks"].as_array().expect("tasks");
    assert!(tasks.len() > 50 && tasks.iter().all(|task| task["labels"]["request_id"] == "r-1"));
    assert_eq!((&json["live"], &json["trace_ids"]), (&tasks.len().into(), &[TRACE][..].into()));

    let twin = viewer.json(&format!("/api/v1/s/{b}/request/r-1")).await;
    assert_eq!(
        (&twin["schema"], &twin["live"], &twin["tasks"]),
        (&json["schema"], &json["live"], &json["tasks"])
    );
    let page = viewer.page(&format!("/s/{b}/request/r-1")).await;
    let trace = format!("/s/{b}/request/{TRACE}");
    for says in ["live tasks of request", "svc.rs:7:9", "idle", &format!("href=\"{trace}\"")] {
        assert!(page.contains(says), "the page does not say {says}: {page}");
    }
    assert_eq!(page.matches("<small>request_id r-1</small>").count(), tasks.len());
    assert!(!page.contains("request_id r-2"));
    let all = viewer.json(&format!("/api/v1{trace}")).await;
    assert_eq!(all["request_ids"], serde_json::json!(["r-0", "r-1", "r-2", "r-3"]));
    let (listed, live) = (all["tasks"].as_array().map_or(0, Vec::len) as u64, all["live"].as_u64());
    assert_eq!((listed, all["unlisted_tasks"].as_u64().map(|more| more + listed)), (200, live));

    let rows = viewer.page(&format!("/s/{b}/site/0")).await;
    assert!(rows.contains(&format!("<a href=\"/s/{b}/request/r-1\">r-1</a>")), "{rows}");

    let lines = shown(&["r-1", "--format", "jsonl"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(&lines, tasks);
    let text = shown(&["r-1"]);
    assert!(text.contains(&format!("of request r-1; traces {TRACE}\n")), "{text}");
    assert_eq!(text.lines().count(), tasks.len() + 3, "{text}");
    assert!(shown(&["r-1", "--format", "markdown"]).contains("| spawn site |"));
}

#[tokio::test]
async fn a_request_that_is_not_there_is_said() {
    let folder = Folder::new("no-request");
    let b = folder.write("b.diag", &labelled(30.0, of_requests));
    let none = folder.write("none.diag", &labelled(31.0, |_| Vec::new()));
    for (id, path) in [(&b, "r-9"), (&b, "r-"), (&none, "r-1")] {
        for api in ["", "/api/v1"] {
            let answer = folder.viewer().get(&format!("{api}/s/{id}/request/{path}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert!(answer.body.contains(&format!("of a request or trace `{path}`")), "{}", answer.body);
        }
    }
    assert_eq!(folder.viewer().get(&format!("/s/{b}/request/")).await.status, StatusCode::NOT_FOUND);
    let (code, out, err) = diag(&folder, &["show", "b.diag", "--request", "r-9"]);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("no live task has `r-9` as its request_id or trace_id"), "{err}");
}

#[tokio::test]
async fn hostile_ids_do_no_harm() {
    let folder = Folder::new("hostile-request");
    let ids = [
        "<script>alert('x')</script>\"><img src=x onerror=alert(1)>",
        "a\u{1b}[31m\u{202e}\u{0}\nb",
        "a/b?c=d#e%2F&amp;",
        "..",
        "x' or 1=1 --",
        "ünïcødé",
    ];
    let label = |id: u64| vec![("request_id", ids[id as usize % ids.len()].to_owned())];
    let b = folder.write("b.diag", &labelled(30.0, label));
    let viewer = folder.viewer();
    let rows = viewer.page(&format!("/s/{b}/site/0")).await;
    for id in ids {
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/s/{b}/request/{encoded}");
        let twin = viewer.json(&format!("/api/v1{path}")).await;
        assert_eq!((&twin["id"], &twin["tasks"][0]["labels"]["request_id"]), (&id.into(), &id.into()));
        for page in [&viewer.page(&path).await, &rows] {
            assert!(!site::runs_foreign_script(page) && !page.contains("<img"), "{page}");
            assert!(!page.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{page}");
        }
        let (code, out, _) = diag(&folder, &["show", "b.diag", "--request", &id.replace('\0', "")]);
        assert!(!out.contains(['\u{1b}', '\u{202e}']) && (code == Some(0) || id.contains('\0')), "{out}");
    }
    // Each link of the rows leads to its page.
    let links: Vec<_> = rows.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let links: Vec<_> =
        links.into_iter().filter(|link| link.contains("/request/") && !link.ends_with("/..")).collect();
    assert!(links.len() > 50, "{links:?}");
    for link in links {
        viewer.page(link).await;
    }
    for bad in ["%FF%FE", &"x".repeat(8_000), "%3Cscript%3E"] {
        let answer = viewer.get(&format!("/s/{b}/request/{bad}")).await;
        assert!(
            [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST].contains(&answer.status),
            "{}",
            answer.status
        );
        assert!(!site::runs_foreign_script(&answer.body) && answer.body.len() < 10_000, "{}", answer.body);
    }
}

#[test]
fn the_line_of_a_finding_has_the_trace_of_its_tasks() {
    let folder = Folder::new("trace-lines");
    let line = |name: &str, labels: fn(u64) -> Vec<(&'static str, String)>| {
        folder.write(&format!("{name}-a"), &labelled(15.0, labels));
        folder.write(&format!("{name}-b"), &labelled(30.0, labels));
        let (a, b) = (format!("{name}-a"), format!("{name}-b"));
        let (code, out, _) = diag(&folder, &["check", &a, &b, "--format", "jsonl"]);
        assert_eq!(code, Some(1));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(lines[0]["trace_id"].is_null(), "the report itself is of no trace");
        (lines[1]["trace_id"].clone(), lines[1]["span_id"].clone())
    };
    assert_eq!(line("one", of_requests), (TRACE.into(), Value::Null));
    let with_span = |_| vec![("span_id", SPAN.to_owned()), ("trace_id", TRACE.to_owned())];
    assert_eq!(line("span", with_span), (TRACE.into(), SPAN.into()));
    let several = |id| vec![("trace_id", format!("{:032x}", id % 2 + 1))];
    assert_eq!(line("several", several), (Value::Null, Value::Null));
    assert_eq!(line("none", |_| Vec::new()), (Value::Null, Value::Null));
}
