//! The tasks pages: rows by what tasks have in common, one await point, one task, and the way between them.

mod site;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use diag_snapshot::{
    FrameIndex, FrameRow, LabelRow, NameRow, ParkedRow, Snapshot, StackIndex, StackRow, TaskRow,
};
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};
use serde_json::Value;
use site::{Folder, Viewer};

const GROUPS: [&str; 5] = ["site", "await", "state", "parent", "label"];

/// Four hundred tasks that are idle for ever at one of two lines, among healthy ones.
fn service() -> Service {
    Service::new(in_order(
        [
            Churn { until: 60.0, ..Churn::default() }.tasks(),
            Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks(),
        ]
        .concat(),
    ))
}

/// A stack of these functions, innermost first.
fn stack(snapshot: &mut Snapshot, functions: &[(&str, u32)]) -> StackIndex {
    let file = snapshot.strings.intern("src/wait.rs");
    let mut caller = None;
    for (function, line) in functions.iter().rev() {
        let frame = FrameIndex(snapshot.stacks.frames.len() as u32);
        snapshot.stacks.frames.push(FrameRow { module: None, offset: u64::from(*line) });
        let function = snapshot.strings.intern(function);
        snapshot.stacks.names.push(NameRow { frame, function, file: Some(file), line: Some(*line) });
        let index = StackIndex(snapshot.stacks.stacks.len() as u32);
        snapshot.stacks.stacks.push(StackRow { caller, frame });
        caller = Some(index);
    }
    caller.expect("a function")
}

/// Every task waits at line 3, or every third at line 5; each was spawned by the one before, and each tenth has a label.
fn at(now: f64) -> Snapshot {
    let mut snapshot = service().at(now);
    let one = stack(&mut snapshot, &[("svc::recv", 3), ("svc::serve", 9)]);
    let other = stack(&mut snapshot, &[("svc::send", 5), ("svc::serve", 9)]);
    let [key, value] = ["device", "<a&b>"].map(|text| snapshot.strings.intern(text));
    let rows: Vec<TaskRow> = snapshot.tasks.iter().collect();
    for (i, task) in rows.iter().enumerate() {
        let stack = if i % 3 == 0 { other } else { one };
        snapshot.parked.push(ParkedRow { task: task.id, stack });
        if i % 10 == 0 {
            snapshot.labels.push(LabelRow { task: task.id, key, value });
        }
    }
    let parent = |i: usize| i.checked_sub(1).map(|before| rows[before]);
    snapshot.tasks = (0..rows.len())
        .map(|i| TaskRow {
            parent: parent(i).map(|parent| parent.id),
            parent_site: parent(i).map(|parent| parent.site),
            woken_by: parent(i).map(|parent| parent.id),
            woken_by_site: parent(i).map(|parent| parent.site),
            ..rows[i]
        })
        .collect();
    snapshot
}

/// A viewer over two snapshots of one process, and their ids.
fn scene(test: &str) -> (Folder, Viewer, String, String) {
    let folder = Folder::new(test);
    let (a, b) = (folder.write("a.diag", &at(15.0)), folder.write("b.diag", &at(30.0)));
    let viewer = folder.viewer();
    (folder, viewer, a, b)
}

fn diag(folder: &Folder, args: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_diag"))
        .current_dir(&**folder)
        .args(args)
        .env_remove("DIAG_TOKEN")
        .output()
        .expect("the program runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// How many tasks each row has, by its name.
async fn rows(viewer: &Viewer, query: &str) -> Vec<(String, u64)> {
    let page = viewer.json(&format!("/api/v1/s/live/tasks?{query}")).await;
    let row = |row: &Value| (row["name"].as_str().expect("a name").to_owned(), number(&row["tasks"]));
    page["rows"].as_array().expect("rows").iter().map(row).collect()
}

#[tokio::test]
async fn rows_have_the_numbers_of_the_command_line() {
    let (folder, viewer, _, b) = scene("tasks-rows");
    viewer.page("/").await;
    let shown = diag(&folder, &["show", "b.diag", "--tasks", "--format", "json"]);
    let tasks = shown["tasks"].as_array().expect("tasks");
    let sums = |of: &dyn Fn(&Value) -> Value| {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for task in tasks {
            *sums.entry(of(task).as_str().unwrap_or("outside of a tracked task").to_owned()).or_default() +=
                1;
        }
        sums
    };
    for (group, expected) in [
        ("site", sums(&|task| task["site"]["location"].clone())),
        ("await", sums(&|task| task["waiting_at"].clone())),
        ("state", sums(&|task| task["state"].clone())),
        ("parent", sums(&|task| task["parent_site"]["location"].clone())),
    ] {
        let seen: BTreeMap<String, u64> =
            rows(&viewer, &format!("group={group}")).await.into_iter().collect();
        assert_eq!(seen, expected, "by {group}");
    }
    let labels = rows(&viewer, "group=label").await;
    assert_eq!(labels, [("device <a&b>".to_owned(), tasks.len().div_ceil(10) as u64)]);
    let report = viewer
        .json(&format!(
            "/api/v1/d/{}..{b}",
            viewer.json("/api/v1").await["snapshots"][0]["id"].as_str().expect("an id")
        ))
        .await;
    let page = viewer.json("/api/v1/s/live/tasks").await;
    assert_eq!(page["rows"][0]["stale"], report["sites"][0]["stale"]["after"], "one word, one number");
    assert!(number(&page["rows"][0]["stale"]) >= 399, "{}", page["rows"][0]);
    let finding = &report["findings"][0]["id"].as_str().expect("a finding");
    let html = viewer.page(&format!("/s/{b}/tasks")).await;
    assert!(html.contains(&format!("/v/{finding}\">task-leak")), "no badge: {html}");
}

#[tokio::test]
async fn rows_go_both_ways_and_are_filtered() {
    let (_folder, viewer, ..) = scene("tasks-order");
    for (sort, field) in [("idle", "idle_ns"), ("age", "age_ns"), ("live", ""), ("bytes", ""), ("site", "")] {
        let mut down = rows(&viewer, &format!("group=await&sort={sort}")).await;
        let up = rows(&viewer, &format!("group=await&sort=-{sort}")).await;
        down.reverse();
        let page = viewer.json(&format!("/api/v1/s/live/tasks?group=await&sort={sort}")).await;
        let ties = !field.is_empty() && page["rows"][0][field]["max"] == page["rows"][1][field]["max"];
        assert!(down == up || ties, "{sort}: {down:?} is not {up:?}");
    }
    assert_eq!(rows(&viewer, "group=await&q=wait.rs:5").await.len(), 1);
    assert_eq!(rows(&viewer, "group=await&q=nowhere").await.len(), 0);
    assert_eq!(rows(&viewer, "group=parent&state=polling").await.len(), 0);
}

#[tokio::test]
async fn an_await_point_has_the_tasks_of_its_row() {
    let (_folder, viewer, a, b) = scene("tasks-await");
    let page = viewer.json("/api/v1/s/live/tasks?group=await").await;
    for row in page["rows"].as_array().expect("rows") {
        let id = row["await_point"]["id"].as_str().expect("an id");
        let path = format!("/s/{b}/await/{id}");
        let point = viewer.json(&format!("/api/v1{path}")).await;
        assert_eq!(point["tasks"], row["tasks"]);
        assert_eq!(point["with_stack"], row["tasks"], "each has a stack here");
        let outermost = &point["stacks"][0];
        assert_eq!((&outermost["tasks"], &outermost["depth"]), (&row["tasks"], &Value::from(0)));
        assert!(outermost["function"].as_str().expect("a function").contains("svc::serve"), "{point}");
        let of_sites: u64 =
            point["sites"].as_array().expect("sites").iter().map(|site| number(&site["tasks"])).sum();
        assert_eq!(of_sites, number(&row["tasks"]));
        let (mut listed, mut after) = (0, String::new());
        loop {
            let part = viewer.json(&format!("/api/v1{path}?after={after}")).await;
            listed += part["listed"].as_array().expect("tasks").len() as u64;
            let Some(next) = part["next"].as_str() else { break };
            after = next.to_owned();
        }
        assert_eq!(listed, number(&row["tasks"]), "the pages hold each of them");
        let html = viewer.page(&path).await;
        assert!(html.contains(&format!("/s/{a}/await/{id}")), "the same in the snapshot before");
        assert!(html.contains("/site/0\"") && html.contains(&format!("/s/{b}/task/")), "{html}");
    }
}

#[tokio::test]
async fn a_task_leads_to_all_that_is_known_of_it() {
    let (folder, viewer, a, b) = scene("tasks-task");
    viewer.page("/").await;
    let shown = diag(&folder, &["show", "b.diag", "--tasks", "--format", "json"]);
    let second = &shown["tasks"][1];
    let id = second["id"].as_str().expect("an id");
    let json = viewer.json(&format!("/api/v1/s/{b}/task/{id}")).await;
    assert_eq!(&json["task"], second, "what `diag show` says of it");
    assert_eq!(json["ancestors"][0]["id"], shown["tasks"][0]["id"]);
    assert_eq!(json["children"][0]["id"], shown["tasks"][2]["id"]);
    let html = viewer.page(&format!("/s/{b}/task/{id}")).await;
    let await_id = json["await_point"]["id"].as_str().expect("an await point");
    for link in [
        format!("/s/{b}/site/0"),
        format!("/s/{b}/await/{await_id}"),
        format!("/s/{b}/task/{}", shown["tasks"][0]["id"].as_str().expect("an id")),
        format!("/s/{a}/task/{id}"),
        format!("/api/v1/s/{b}/task/{id}"),
    ] {
        assert!(html.contains(&format!("href=\"{link}\"")), "no link {link}: {html}");
    }
    let row = viewer.page(&format!("/s/{b}/site/0")).await;
    assert!(
        row.contains(&format!("href=\"/s/{b}/await/{await_id}\"")),
        "a row leads to the await point: {row}"
    );
    assert!(html.contains("svc::serve (src/wait.rs:9)"), "{html}");
    assert!(!html.contains("snapshot after"), "there is none");
    assert!(viewer.page(&format!("/s/{a}/task/{id}")).await.contains(&format!("/s/{b}/task/{id}")));
    let labelled = shown["tasks"][0]["id"].as_str().expect("an id");
    let html = viewer.page(&format!("/s/{b}/task/{labelled}")).await;
    assert!(html.contains("&#60;a&#38;b&#62;") && html.contains("q=%3Ca%26b%3E"), "{html}");
}

/// A site has another place in another snapshot: the step leads to the same site.
#[tokio::test]
async fn steps_lead_to_the_same_site() {
    let folder = Folder::new("tasks-steps");
    let (before, mut after) = (at(15.0), at(30.0));
    let file = after.strings.intern("src/new.rs");
    let new = diag_snapshot::SiteRow { file, ..Default::default() };
    after.sites = std::iter::once(new).chain(after.sites.iter()).collect();
    after.tasks =
        (after.tasks.iter()).map(|task| TaskRow { site: diag_snapshot::SiteIndex(1), ..task }).collect();
    let (a, b) = (folder.write("a.diag", &before), folder.write("b.diag", &after));
    let viewer = folder.viewer();
    let html = viewer.page(&format!("/s/{a}/site/0?sort=idle")).await;
    let step = format!("/s/{b}/site/0?from={a}");
    assert!(html.contains(&step), "{html}");
    let moved = viewer.get(&step).await;
    assert_eq!(
        (moved.status, &moved.headers["location"]),
        (StatusCode::SEE_OTHER, &format!("/s/{b}/site/1").parse().expect("a value"))
    );
    let html = viewer.page(&format!("/s/{b}/tasks?group=await&sort=-idle&after=")).await;
    assert!(
        html.contains(&format!("/s/{a}/tasks?group=await&#38;sort=-idle\"")),
        "the query is kept: {html}"
    );
}

#[tokio::test]
async fn a_search_finds_each_kind_of_thing() {
    let (_folder, viewer, a, b) = scene("tasks-search");
    let first =
        viewer.json("/api/v1/s/live/site/0").await["tasks"][0]["id"].as_str().expect("an id").to_owned();
    for (text, link) in [
        ("svc.rs:7", format!("/s/{b}/site/0")),
        ("wait.rs:5", format!("/s/{b}/await/")),
        ("svc::serve", format!("/s/{b}/heap?q=svc%3A%3Aserve")),
        (&*first, format!("/s/{b}/task/{first}")),
        ("%3Ca%26b", format!("/s/{b}/tasks?group=label&#38;q=%3Ca%26b%3E")),
    ] {
        let page = viewer.page(&format!("/q?q={text}")).await;
        assert!(page.contains(&link), "{text} does not lead to {link}: {page}");
        assert!(viewer.page(&format!("/q?q={text}&s={a}")).await.contains(&format!("/s/{a}/")), "{text}");
    }
    assert!(viewer.page("/q").await.contains("Part of a name"));
    assert!(viewer.page("/q?q=nowhere").await.contains("Nothing has this"));
    for hostile in
        ["%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "%00%1b%5b31m", &"n".repeat(5_000), "..%2F..%2F", "-1"]
    {
        let answer = viewer.get(&format!("/q?q={hostile}")).await;
        assert!(
            answer.status == StatusCode::OK && !site::runs_foreign_script(&answer.body),
            "{hostile}: {}",
            answer.body
        );
    }
    assert_eq!(viewer.get("/q?q=a&s=%3Cscript%3E").await.status, StatusCode::NOT_FOUND);
}

/// A hundred places that are afflicted alike: one line, and the table begins on the first screen.
#[tokio::test]
async fn notices_of_one_kind_are_one_line() {
    let folder = Folder::new("tasks-notices");
    let mut snapshot = diag_test_support::crowd::crowd(10_000, 1_000, 10);
    let held = |task: TaskRow| match task.site.0 < 100 && task.state == diag_snapshot::TaskState::Polling {
        true => TaskRow { last_poll_us: Some(1), ..task },
        false => TaskRow { state: diag_snapshot::TaskState::Idle, ..task },
    };
    snapshot.tasks = snapshot.tasks.iter().map(held).collect();
    folder.write("a.diag", &snapshot);
    let viewer = folder.viewer();
    let json = viewer.json("/api/v1/s/live/tasks").await;
    assert!(json["findings"].as_array().map_or(0, Vec::len) >= 10, "{}", json["findings"]);
    let page = viewer.page("/s/live/tasks").await;
    let notices = page.matches("class=\"notice").count();
    assert!((1..=2).contains(&notices), "{notices} notices");
    assert!(page.contains("<summary>") && page.contains(" places, "), "{page}");
    let (head, _) = page.split_once("<table").expect("a table");
    let lines = head.split("<ul>").next().unwrap_or_default();
    assert!(lines.len() < 8_000, "{} bytes stand before the table", lines.len());
}

/// A file may say that tasks have spawned each other, or themselves.
#[tokio::test]
async fn tasks_that_spawned_each_other_end() {
    let folder = Folder::new("tasks-cycle");
    let mut snapshot = at(15.0);
    let first = snapshot.tasks.get(0).expect("a task").id;
    snapshot.tasks = snapshot.tasks.iter().map(|task| TaskRow { parent: Some(first), ..task }).collect();
    let id = folder.write("a.diag", &snapshot);
    let json = folder.viewer().json(&format!("/api/v1/s/{id}/task/{}", first.0)).await;
    assert_eq!(json["ancestors"].as_array().map(Vec::len), Some(0));
    assert_eq!(json["children"].as_array().map(Vec::len), Some(50));
    assert_eq!(number(&json["unlisted_children"]), snapshot.tasks.len() as u64 - 50);
}

/// The name stands first in each row, where a phone shows it.
#[tokio::test]
async fn the_name_is_the_first_column() {
    let (_folder, viewer, _, b) = scene("tasks-names");
    let task =
        viewer.json("/api/v1/s/live/site/0").await["tasks"][0]["id"].as_str().expect("an id").to_owned();
    let mut pages: Vec<String> = GROUPS.iter().map(|group| format!("/s/{b}/tasks?group={group}")).collect();
    pages.extend([format!("/s/{b}/site/0"), format!("/s/{b}/task/{task}")]);
    for path in pages {
        let page = viewer.page(&path).await;
        let bodies = page.split("<tbody>").skip(1);
        let mut seen = 0;
        for body in bodies {
            for row in body.split("</tbody>").next().unwrap_or_default().split("<tr>").skip(1) {
                assert!(row.trim_start().starts_with("<th scope=\"row\""), "{path}: {row}");
                seen += 1;
            }
        }
        assert!(seen > 0 || path.contains("/task/"), "{path} has no row");
    }
}

/// The numbers of a column of a slice.
fn column(slice: &Value, name: &str) -> Vec<u64> {
    slice["nodes"][name].as_array().expect("a column").iter().map(number).collect()
}

/// `name` of each frame, with its line if that tells it apart.
fn names(slice: &Value) -> Vec<String> {
    let string = |place: &Value| slice["strings"][number(place) as usize].as_str().expect("a string");
    let name = |function: &Value| {
        let function = number(function) as usize;
        let of = |field: &str| &slice["functions"][field][function];
        match number(of("by_line")) {
            1 => format!("{} at {}", string(of("path")), string(of("location"))),
            _ => string(of("path")).to_owned(),
        }
    };
    slice["nodes"]["function"].as_array().expect("a column").iter().map(name).collect()
}

fn check_near(seen: u64, expected: u64, what: &str) {
    assert!(seen.abs_diff(expected) <= 4, "{what}: {seen} is not {expected}");
}

#[tokio::test]
async fn the_flame_of_waiting_tasks_has_the_numbers_of_the_task_list() {
    let (_folder, viewer, _, b) = scene("tasks-flame");
    let slice = async |query: &str| viewer.json(&format!("/s/{b}/tasks/flame.json?{query}")).await;
    let whole = slice("").await;
    let page = viewer.json(&format!("/api/v1/s/{b}/tasks/flame")).await;
    assert_eq!(
        (&page["with_stack"], &page["shown"]["tasks"]),
        (&page["tracked_tasks"], &page["tracked_tasks"])
    );
    assert_eq!(column(&whole, "total")[0], number(&page["tracked_tasks"]));
    let mut seen = names(&whole);
    seen.sort();
    assert_eq!(
        seen,
        [
            "all",
            "own future",
            "own future",
            "svc::recv at src/wait.rs:3",
            "svc::send at src/wait.rs:5",
            "svc::serve at src/wait.rs:9"
        ]
    );
    // Each frame has what hangs at it, whatever its width is.
    for width in ["tasks", "bytes", "idle"] {
        let slice = slice(&format!("width={width}")).await;
        let unit = slice["unit"].as_str().expect("a unit");
        let same = match width {
            "idle" => "idle_ns",
            same => same,
        };
        assert_eq!(
            (column(&slice, "total"), unit),
            (column(&slice, same), if width == "idle" { "ns" } else { width })
        );
        let (parent, total, own) =
            (column(&slice, "parent"), column(&slice, "total"), column(&slice, "self"));
        let mut sums = own;
        (1..total.len()).for_each(|i| sums[parent[i] as usize] += total[i]);
        sums.iter().zip(&total).for_each(|(sum, total)| check_near(*sum, *total, width));
    }
    // By each filter, its rows are those of the list of tasks.
    for (group, part) in [("await", "await"), ("site", "site"), ("state", "state")] {
        let list = viewer.json(&format!("/api/v1/s/{b}/tasks?group={group}")).await;
        let mut tasks = 0;
        for row in list["rows"].as_array().expect("rows").iter().filter(|row| row["tasks"] != 0) {
            let name = row["name"].as_str().expect("a name");
            let value = match group {
                "site" => row["site"]["index"].to_string(),
                _ => name.replace(' ', "%20"),
            };
            let slice = slice(&format!("{part}={value}")).await;
            assert_eq!(column(&slice, "tasks")[0], number(&row["tasks"]), "{name}");
            check_near(column(&slice, "bytes")[0], number(&row["bytes"]), name);
            assert_eq!(column(&slice, "longest_idle_ns")[0], number(&row["idle_ns"]["max"]), "{name}");
            tasks += column(&slice, "tasks")[0];
        }
        assert_eq!(tasks, number(&page["tracked_tasks"]), "by {group}");
    }
    // Young tasks, and together with another filter.
    let old = column(&slice("age=20s").await, "tasks")[0];
    assert!(old > 0 && old < number(&page["tracked_tasks"]), "{old}");
    assert!(column(&slice("age=20s&state=idle").await, "tasks")[0] <= old);
    assert_eq!(column(&slice("state=woken").await, "tasks")[0], 0);
    // Inverted, what is waited for comes first; where a function awaits is found.
    let inverted = slice("invert=true").await;
    assert_eq!(names(&inverted)[1], "own future");
    let found = slice("q=%2Fwait.rs:%5B35%5D%24%2F").await["search"].clone();
    assert_eq!((&found["frames"], &found["share_percent"]), (&Value::from(2), &Value::from(100.0)));
}

#[tokio::test]
async fn an_await_point_is_drawn_as_the_flame_of_its_tasks() {
    let (_folder, viewer, _, b) = scene("tasks-flame-await");
    let list = viewer.json(&format!("/api/v1/s/{b}/tasks?group=await")).await;
    let point = &list["rows"][0]["await_point"];
    let (id, text) = (point["id"].as_str().expect("an id"), point["text"].as_str().expect("a text"));
    let path = format!("/s/{b}/await/{id}");
    let slice = viewer.json(&format!("{path}/flame.json?width=bytes")).await;
    let same =
        viewer.json(&format!("/s/{b}/tasks/flame.json?width=bytes&await={}", text.replace(' ', "%20"))).await;
    assert_eq!(slice, same);
    let view = viewer.json(&format!("/api/v1{path}")).await;
    check_near(column(&slice, "bytes")[1], number(&view["stacks"][0]["bytes"]), "the tree of the API");
    let page = viewer.page(&path).await;
    let node = &slice["nodes"]["node"][1];
    assert!(page.contains(&format!("href=\"{path}?root={node}\"")), "a frame is a link: {page}");
    assert!(page.contains(&format!("data-json=\"{path}/flame.json\"")) && page.contains("role=\"treegrid\""));
    let zoomed = viewer.page(&format!("{path}?root={node}&width=idle")).await;
    assert!(zoomed.contains("<option value=\"idle\" selected>"), "{zoomed}");
    // The tasks lead to the picture, and the picture of one await point to its page.
    assert!(viewer.page(&format!("/s/{b}/tasks")).await.contains(&format!("href=\"/s/{b}/tasks/flame\"")));
    let only = viewer.page(&format!("/s/{b}/tasks/flame?await={}", text.replace(' ', "%20"))).await;
    assert!(only.contains(&format!("href=\"{path}\"")), "{only}");
    for (path, status) in [
        (format!("/s/{b}/tasks/flame?await=nowhere"), StatusCode::UNPROCESSABLE_ENTITY),
        (format!("/s/{b}/tasks/flame?state=dead"), StatusCode::BAD_REQUEST),
        (format!("/s/{b}/tasks/flame?width=wide"), StatusCode::BAD_REQUEST),
        (format!("/s/{b}/tasks/flame.json?root=999"), StatusCode::NOT_FOUND),
        (format!("/s/{b}/await/0000/flame.json"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(viewer.get(&path).await.status, status, "{path}");
    }
}

/// Without stacks there is a page that says so, and absurd rows draw something.
#[tokio::test]
async fn without_stacks_the_flame_is_empty() {
    let folder = Folder::new("tasks-flame-none");
    folder.write("a.diag", &service().at(10.0));
    let page = folder.viewer().page("/s/live/tasks/flame").await;
    assert!(page.contains("No such task has left a stack") && page.contains("0 have the stack"), "{page}");
    let mut absurd = at(15.0);
    absurd.parked.push(ParkedRow { task: diag_snapshot::TaskId(u64::MAX), stack: StackIndex(u32::MAX) });
    absurd.tasks =
        absurd.tasks.iter().map(|task| TaskRow { last_poll_us: Some(0), spawned_us: 0, ..task }).collect();
    absurd.capture.to_us = u64::MAX;
    folder.write("b.diag", &absurd);
    folder.viewer().page("/s/live/tasks/flame?width=idle").await;
}
