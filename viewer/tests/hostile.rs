//! Snapshots made to break pages: names full of markup, damaged files, links that lead out.

mod site;

use axum::http::StatusCode;
use diag_snapshot::{
    FrameIndex, FrameRow, GroupRow, GroupSiteRow, Heap, LabelRow, MemberRow, NameRow, ParkedRow, ResourceRow,
    ResourceSiteRow, SampleRow, SiteIndex, Snapshot, StackIndex, StackRow,
};
use diag_test_support::scenario::{Service, Steady, in_order};
use site::Folder;

const MARKUP: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// A snapshot in which every name is `name`.
fn named(name: &str, now: f64) -> Snapshot {
    let mut snapshot =
        Service::new(in_order(Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks()))
            .at(now);
    let text = snapshot.strings.intern(name);
    snapshot.process.service = name.to_owned();
    snapshot.process.host = Some(name.to_owned());
    snapshot.sites = snapshot
        .sites
        .iter()
        .map(|site| diag_snapshot::SiteRow { file: text, type_name: text, ..site })
        .collect();
    snapshot.tasks = (snapshot.tasks.iter())
        .map(|task| diag_snapshot::TaskRow { name: Some(text), parent_site: Some(SiteIndex(0)), ..task })
        .collect();
    let label = |task| LabelRow { task, key: text, value: text };
    snapshot.labels = snapshot.tasks.iter().map(|task| label(task.id)).collect();
    snapshot.resource_sites.push(ResourceSiteRow {
        file: Some(text),
        function: Some(text),
        ..ResourceSiteRow::default()
    });
    snapshot.resources.push(ResourceRow { peer: Some(text), ..ResourceRow::default() });
    snapshot.group_sites.push(GroupSiteRow { kind: text, file: text, ..GroupSiteRow::default() });
    let (cancel_us, cancel_reason) = (Some(0), Some(text));
    let group = GroupRow { name: text, joined: 1, cancel_us, cancel_reason, ..GroupRow::default() };
    snapshot.groups.push(group);
    snapshot.members.push(MemberRow { name: text, ..MemberRow::default() });
    let mut heap = Heap::default();
    heap.facts.unwinder = name.to_owned();
    snapshot.stacks.frames.push(FrameRow { module: None, offset: 1 });
    snapshot.stacks.names.push(NameRow {
        frame: FrameIndex(0),
        function: text,
        file: Some(text),
        line: Some(1),
    });
    snapshot.stacks.stacks.push(StackRow { caller: None, frame: FrameIndex(0) });
    snapshot.parked =
        (snapshot.tasks.iter()).map(|task| ParkedRow { task: task.id, stack: StackIndex(0) }).collect();
    let (task, task_site) = (snapshot.tasks.get(0).map(|task| task.id), Some(SiteIndex(0)));
    let (size_bytes, rate_bytes, stack, thread, born_us) = (1 << 20, 0, StackIndex(0), 0, 5);
    heap.samples.push(SampleRow {
        birth: 1,
        size_bytes,
        rate_bytes,
        stack,
        task,
        task_site,
        task_end: None,
        thread,
        born_us,
    });
    snapshot.heap = Some(heap);
    snapshot
}

/// Every page over two such snapshots.
async fn pages(test: &str, name: &str) -> Vec<(String, String)> {
    let folder = Folder::new(test);
    let (a, b) = (folder.write("a.diag", &named(name, 20.0)), folder.write("b.diag", &named(name, 40.0)));
    let viewer = folder.viewer();
    let awaits = viewer.json(&format!("/api/v1/s/{b}/tasks?group=await")).await;
    let point = awaits["rows"][0]["await_point"]["id"].as_str().expect("an await point").to_owned();
    let site = viewer.json(&format!("/api/v1/s/{b}/site/0")).await;
    let task = site["tasks"][0]["id"].as_str().expect("a task").to_owned();
    let mut pages = Vec::new();
    for path in [
        "/".to_owned(),
        format!("/s/{b}/tasks"),
        format!("/s/{b}/tasks?group=await"),
        format!("/s/{b}/tasks?group=parent"),
        format!("/s/{b}/tasks?group=label"),
        format!("/s/{b}/site/0"),
        format!("/s/{b}/task/{task}"),
        format!("/s/{b}/await/{point}"),
        format!("/s/{b}/heap"),
        format!("/s/{b}/resources"),
        format!("/s/{b}/groups"),
        format!("/s/{b}/heap.svg"),
        format!("/d/{a}..{b}"),
        format!("/d/{a}..{b}/heap"),
        format!("/d/{a}..{b}/heap?frames=all&mode=both"),
    ] {
        pages.push((path.clone(), viewer.page(&path).await));
    }
    pages
}

#[tokio::test]
async fn markup_in_names_is_text() {
    for (path, body) in pages("markup", MARKUP).await {
        // The flamegraph alone has a script of its own, in its sandbox.
        assert!(!site::runs_foreign_script(&body) || path.ends_with(".svg"), "{path}");
        assert!(!body.contains("<script>alert"), "{path}");
        assert!(!body.contains("<img"), "{path}");
        assert!(body.contains("alert("), "{path} does not show the name at all");
    }
}

#[tokio::test]
async fn markup_in_a_query_is_text() {
    let folder = Folder::new("query");
    let b = folder.write("b.diag", &named("svc", 40.0));
    let query = "q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&state=%22%3E%3Cscript%3E";
    let body = folder.viewer().page(&format!("/s/{b}/tasks?{query}")).await;
    assert!(!site::runs_foreign_script(&body), "{body}");
    let body = folder.viewer().get("/s/%3Cscript%3E/tasks").await.body;
    assert!(!site::runs_foreign_script(&body), "{body}");
}

#[tokio::test]
async fn control_characters_and_semicolons_do_no_harm() {
    for (path, body) in pages("control", "<[u8; 8] as T>::f\u{1b}[31m\u{202e}\u{0}\nx").await {
        assert!(!body.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{path}");
    }
}

#[tokio::test]
async fn huge_names_are_cut() {
    for (path, body) in pages("huge", &"n".repeat(1 << 20)).await {
        assert!(body.len() < 200_000, "{path} has {} bytes", body.len());
    }
}

#[tokio::test]
async fn names_in_a_slice_are_cut_and_without_control_characters() {
    let folder = Folder::new("slice");
    let name = format!("{MARKUP}\u{1b}\u{202e}{}", "n".repeat(1 << 20));
    let id = folder.write("a.diag", &named(&name, 40.0));
    let answer = folder.viewer().get(&format!("/s/{id}/flame.json?frames=all")).await;
    assert_eq!(answer.headers["content-type"], "application/json", "no browser makes markup of it");
    assert!(answer.body.len() < 20_000, "{} bytes", answer.body.len());
    assert!(!answer.body.contains(['\u{1b}', '\u{202e}']) && answer.body.contains("<script>alert"));
}

#[tokio::test]
async fn damaged_files_are_shown_as_such() {
    let folder = Folder::new("damaged");
    let whole = named("svc", 40.0);
    let id = folder.write("whole.diag", &whole);
    let bytes = std::fs::read(folder.join("whole.diag")).expect("a file");
    let mut flipped = diag_snapshot::write(&named("svc", 20.0));
    let last = flipped.len() - 3;
    flipped[last] ^= 0x10;
    let damaged = diag_snapshot::content_id(&flipped).expect("a header").short();
    std::fs::write(folder.join("flipped.diag"), flipped).expect("a file");
    std::fs::write(folder.join("cut.diag"), &bytes[..40]).expect("a file");
    std::fs::write(folder.join("other.diag"), "hello\n").expect("a file");
    let viewer = folder.viewer();
    let page = viewer.page("/").await;
    for says in ["other.diag: ", "not a diag snapshot", "cut.diag: ", "damaged</span>"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(viewer.page(&format!("/s/{damaged}/tasks")).await.contains("Damaged:"));
    let refused = viewer.get(&format!("/d/{damaged}..{id}")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("a damaged file is not compared"), "{}", refused.body);
}

#[tokio::test]
async fn a_whole_copy_replaces_a_damaged_one() {
    let folder = Folder::new("copy");
    let id = folder.write("a.diag", &named("svc", 40.0));
    let whole = std::fs::read(folder.join("a.diag")).expect("a file");
    let mut flipped = whole.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 0x10;
    std::fs::write(folder.join("a.diag"), flipped).expect("a file");
    let viewer = folder.viewer();
    assert!(viewer.page(&format!("/s/{id}/tasks")).await.contains("Damaged:"));
    std::fs::write(folder.join("b.diag"), whole).expect("a file");
    viewer.page("/").await;
    assert!(!viewer.page(&format!("/s/{id}/tasks")).await.contains("Damaged:"));
}

#[tokio::test]
async fn a_folder_is_not_left() {
    let (outside, inside) = (Folder::new("outside"), Folder::new("inside"));
    let id = outside.write("secret.diag", &named("svc", 40.0));
    std::os::unix::fs::symlink(outside.join("secret.diag"), inside.join("link.diag")).expect("a link");
    std::fs::create_dir(inside.join("deeper.diag")).expect("a folder");
    std::fs::write(inside.join(".hidden.diag"), "").expect("a file");
    std::fs::write(inside.join("notes.txt"), "").expect("a file");
    let viewer = inside.viewer();
    let listed = viewer.json("/api/v1").await;
    assert_eq!(
        (listed["snapshots"].as_array().map(Vec::len), listed["problems"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    for path in [
        format!("/s/{id}/tasks"),
        "/s/..%2Fsecret.diag/tasks".to_owned(),
        "/s/%2Fetc%2Fpasswd/heap".to_owned(),
    ] {
        assert_eq!(viewer.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
