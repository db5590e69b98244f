//! Every page and its JSON twin, over a scripted service with one leak of tasks and one of memory.

mod site;

use axum::http::{Request, StatusCode};
use diag_snapshot::{CpuSampleRow, LabelRow, ParkedRow, StackIndex};
use diag_test_support::scenario::{Churn, Service, in_order};
use diag_viewer::{Access, Source, router};
use site::{Folder, Viewer, leaking};

/// The program as it is built, for what it prints.
fn diag(folder: &std::path::Path, args: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_diag"))
        .current_dir(folder)
        .args(args)
        .env_remove("DIAG_TOKEN")
        .output()
        .expect("the program runs");
    String::from_utf8(output.stdout).expect("text")
}

struct Scene {
    folder: Folder,
    viewer: Viewer,
    a: String,
    b: String,
}

impl Scene {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        let service = leaking();
        let [a, b] = [("a.diag", 15.0), ("b.diag", 30.0)].map(|(name, now)| {
            let mut snapshot = service.at(now);
            let [key, value] = ["request_id", "r-1"].map(|text| snapshot.strings.intern(text));
            let first = snapshot.tasks.get(0).expect("a task").id;
            snapshot.labels.push(LabelRow { task: first, key, value });
            snapshot.parked.push(ParkedRow { task: first, stack: StackIndex(0) });
            snapshot.cpu_samples.push(CpuSampleRow { stack: StackIndex(0), samples: 1, cpu_ns: 10_000_000 });
            folder.write(name, &snapshot)
        });
        Scene { viewer: folder.viewer(), folder, a, b }
    }

    /// `path` with the ids of the two snapshots in place of `{a}` and `{b}`.
    fn path(&self, path: &str) -> String {
        path.replace("{a}", &self.a).replace("{b}", &self.b)
    }

    async fn check(&self, path: &str, says: &str) {
        let body = self.viewer.page(&self.path(path)).await;
        assert!(body.contains(says), "{path} does not say {says:?}:\n{body}");
    }

    async fn check_refused(&self, path: &str, status: StatusCode, says: &str) {
        let answer = self.viewer.get(&self.path(path)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(says), "{path} does not say {says:?}:\n{}", answer.body);
    }
}

#[tokio::test]
async fn every_page_says_what_it_is_for() {
    let scene = Scene::new("every");
    scene.check("/", "1 finding").await;
    scene.check("/", "400 tasks").await;
    scene.check("/?every=5", "http-equiv=\"refresh\" content=\"5\"").await;
    scene.check("/s/{b}/tasks", "svc.rs:7:9").await;
    scene.check("/s/live/tasks", "b.diag").await;
    scene.check("/s/{b}/site/0", "svc::task_7").await;
    scene.check("/s/{b}/heap", "svc::cache::put").await;
    scene.check("/s/{b}/heap?frames=all", "RawVec").await;
    scene.check("/s/{b}/heap.svg", "svc::cache::put").await;
    scene.check("/d/{a}..{b}", "400 tasks have done nothing").await;
    scene.check("/d/{a}..{b}", "too early to say").await;
    scene.check("/help", "How to read these pages").await;
}

#[tokio::test]
async fn a_group_shows_its_members_and_who_goes_on() {
    let folder = Folder::new("groups");
    folder.write("a.diag", &diag_test_support::iothub::service(24, 0));
    let (viewer, path) = (folder.viewer(), "/s/live/groups");
    let page = viewer.page(path).await;
    for says in [
        "2 groups of tasks, 1 member beyond a cancel",
        "upload firmware-100",
        "1 of 3 members alive, 1 done, 1 cancelled; cancelled 1 min ago (the device went away), 1 member goes on",
        "2 of 3 members alive, 1 done",
        "99 % of 400 members ended within 64 ms of the cancel",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let json = viewer.json(&format!("/api/v1{path}")).await;
    let group = &json["groups"][0];
    assert_eq!((group["name"].as_str(), group["stragglers"].as_u64()), (Some("firmware-100"), Some(1)));
    let member = &group["members"][0];
    let told = (member["name"].as_str(), member["state"].as_str(), member["straggling_ns"].as_u64());
    assert_eq!(told, (Some("part 2"), Some("alive"), Some(60_000_000_000)));
    let shown = diag(&folder, &["show", "a.diag"]);
    let says = "upload firmware-100 at examples/src/iothub.rs:350: 1 of 3 members alive";
    assert!(shown.contains(says), "{shown}");
    let shown: serde_json::Value =
        serde_json::from_str(&diag(&folder, &["show", "a.diag", "--format", "json"])).expect("JSON");
    assert_eq!(shown["groups"][0]["members"][2]["straggling_ns"], member["straggling_ns"]);
}

#[tokio::test]
async fn every_documented_address_answers() {
    let scene = Scene::new("urls");
    let report = scene.viewer.json(&scene.path("/api/v1/d/{a}..{b}")).await;
    let finding = report["findings"][0]["id"].as_str().expect("a finding");
    let page = scene.viewer.page("/help").await;
    let asset = page.split("href=\"").find(|link| link.starts_with("/a/")).expect("a style sheet");
    let asset = asset.split('"').next().expect("an address");
    let awaits = scene.viewer.json(&scene.path("/api/v1/s/{b}/tasks?group=await")).await;
    let point = awaits["rows"][0]["await_point"]["id"].as_str().expect("an await point");
    let site = scene.viewer.json(&scene.path("/api/v1/s/{b}/site/0")).await;
    let task = site["tasks"][0]["id"].as_str().expect("a task");
    let fill = |path: &str| {
        let path = path
            .replace("{point}", point)
            .replace("{task}", task)
            .replace("/a/{hash}/{name}", asset)
            .replace("{s}", &scene.b)
            .replace("{i}", "0")
            .replace("{id}", finding)
            .replace("{request}", "r-1")
            .replace("{format}", if path.starts_with("/s/") { "collapsed" } else { "json" });
        scene.path(&path)
    };
    let documented = include_str!("../URLS.md").split('`').filter(|code| {
        // What goes on for ever is listened to elsewhere.
        let ends = ["/", "/?token=..", "/compare", "/events"].contains(code);
        code.starts_with('/') && !ends && !code.contains(' ')
    });
    let mut count = 0;
    for path in documented {
        let answer = scene.viewer.get(&fill(path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        count += 1;
    }
    assert!(count >= 16, "only {count} addresses were found in URLS.md");
    let compared = scene.viewer.get(&scene.path("/compare?a={a}&b={b}")).await;
    assert_eq!(compared.status, StatusCode::SEE_OTHER);
    assert_eq!(compared.headers["location"], scene.path("/d/{a}..{b}"));
}

#[tokio::test]
async fn what_is_not_there_is_said_in_either_form() {
    let scene = Scene::new("missing");
    let not_found = StatusCode::NOT_FOUND;
    scene.check_refused("/s/0123456789/tasks", not_found, "no snapshot").await;
    scene.check_refused("/s/{b}/site/99", not_found, "no spawn site 99").await;
    scene.check_refused("/s/{b}/await/0000", not_found, "no task of this snapshot waits").await;
    scene.check_refused("/s/{b}/task/99999999", not_found, "no live task 99999999").await;
    scene.check_refused("/s/{b}/task/%3Cb%3E", not_found, "no live task &#60;b&#62;").await;
    scene.check_refused("/s/{b}/tasks?group=colour", StatusCode::BAD_REQUEST, "group").await;
    scene.check_refused("/s/{b}/tasks?after=x", StatusCode::UNPROCESSABLE_ENTITY, "after=x").await;
    scene.check_refused("/s/{b}/heap?root=99999", not_found, "no frame 99999").await;
    scene.check_refused("/s/{b}/export/gif", not_found, "there are pprof, collapsed").await;
    scene.check_refused("/d/{a}..{b}/v/none", not_found, "no finding none").await;
    scene.check_refused("/d/{a}", not_found, "BEFORE..AFTER").await;
    scene.check_refused("/nothing", not_found, "<title>").await;
    scene.check_refused("/api/v1/nothing", not_found, "{\n  \"error\":").await;
    scene.check_refused("/api/v1/s/0123456789/tasks", not_found, "{\n  \"error\":").await;
    scene.check_refused("/s/{b}/tasks?sort=colour", StatusCode::BAD_REQUEST, "sort").await;
    for (path, says) in [
        ("/s/{b}/tasks?sort=%3Cb%3E", "`sort` cannot be `&#60;b&#62;`: it is one of live, stale"),
        ("/?every=soon", "`every` cannot be `soon`"),
        ("/s/{b}/site/0?sort=x", "`sort` cannot be `x`: it is one of age, idle"),
        ("/s/{b}/heap?task=dead", "task is one of live, ended, none"),
    ] {
        scene.check_refused(path, StatusCode::BAD_REQUEST, says).await;
        let back = format!("<a href=\"{}\">", scene.path(path.split('?').next().expect("a path")));
        scene.check_refused(path, StatusCode::BAD_REQUEST, &back).await;
        scene.check_refused(path, StatusCode::BAD_REQUEST, "<link rel=\"stylesheet\"").await;
    }
    let refused = scene.viewer.get(&scene.path("/api/v1/s/{b}/tasks?sort=colour")).await;
    assert!(refused.body.starts_with("{\n  \"error\": \"`sort` cannot be"), "{}", refused.body);
    scene.check_refused("/s/{b}/site/0?after=x", StatusCode::UNPROCESSABLE_ENTITY, "after=x").await;
    scene.check_refused("/compare?a=..%2F..&b={b}", StatusCode::UNPROCESSABLE_ENTITY, "choose them").await;
}

#[tokio::test]
async fn the_diff_page_has_the_numbers_of_the_command_line() {
    let scene = Scene::new("numbers");
    let cli = diag(&scene.folder, &["diff", "a.diag", "b.diag", "--format", "json"]);
    assert_eq!(scene.viewer.page(&scene.path("/api/v1/d/{a}..{b}")).await, cli);
    let report: serde_json::Value = serde_json::from_str(&cli).expect("JSON");
    let page = scene.viewer.page(&scene.path("/d/{a}..{b}")).await;
    for site in report["sites"].as_array().expect("sites") {
        for count in [&site["live"]["before"], &site["live"]["after"], &site["stale"]["after"]] {
            let cell = format!(">{}<", diag_analysis::human::count(count.as_u64().expect("a count")));
            assert!(page.contains(&cell), "{cell} is not on the page");
        }
    }
    for finding in report["findings"].as_array().expect("findings") {
        let verdict =
            scene.path(&format!("/api/v1/d/{{a}}..{{b}}/v/{}", finding["id"].as_str().expect("an id")));
        assert_eq!(&scene.viewer.json(&verdict).await["finding"], finding);
    }
}

#[tokio::test]
async fn the_task_list_has_the_numbers_of_the_command_line() {
    let scene = Scene::new("tasks");
    let cli = diag(&scene.folder, &["show", "b.diag", "--tasks", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&cli).expect("JSON");
    let tasks = scene.viewer.json(&scene.path("/api/v1/s/{b}/tasks")).await;
    let site = &tasks["sites"][0];
    for field in ["location", "name", "live", "spawned", "done", "future_bytes"] {
        assert_eq!(site[field], shown["sites"][0][field], "{field}");
    }
    let report = scene.viewer.json(&scene.path("/api/v1/d/{a}..{b}")).await;
    for spread in ["age_ns", "idle_ns"] {
        assert_eq!(site[spread]["p50"], report["sites"][0][spread]["p50"], "{spread}");
        assert_eq!(site[spread]["max"], report["sites"][0][spread]["max"], "{spread}");
    }
    let finding = &report["findings"][0];
    assert_eq!(site["held"], finding["allocated"], "the finding and the list weigh the same tasks");
    let bytes = &tasks["rows"][0]["bytes"];
    assert_eq!(&finding["bytes"]["estimate_bytes"], bytes, "with the tasks themselves");
}

#[tokio::test]
async fn the_heap_page_has_the_numbers_of_the_command_line() {
    let scene = Scene::new("heap");
    let cli = diag(&scene.folder, &["show", "b.diag", "--tasks", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&cli).expect("JSON");
    let page = scene.viewer.json(&scene.path("/api/v1/s/{b}/heap")).await;
    for (field, value) in shown["heap"].as_object().expect("a heap") {
        assert_eq!(&page["heap"][field], value, "{field}");
    }
    let overview = scene.viewer.json("/api/v1").await;
    let report = scene.viewer.json(&scene.path("/api/v1/d/{a}..{b}")).await;
    for memory in [&page["memory"], &overview["memory"], &report["after"]["memory"]] {
        assert_eq!(memory, &shown["memory"]);
    }
    assert_eq!(shown["memory"]["heap"], shown["heap"]["live"]);
    let tasks = scene.viewer.json(&scene.path("/api/v1/s/{b}/tasks")).await;
    for field in ["held", "held_by_ended"] {
        assert_eq!(tasks["sites"][0][field], shown["sites"][0][field], "{field}");
    }
    assert_eq!(shown["sites"][0]["held_by_ended"], shown["heap"]["of_ended_tasks"], "there is one site");
    let held = |task: &serde_json::Value| task["held_bytes"].as_f64().unwrap_or(0.0);
    let one_by_one: f64 = shown["tasks"].as_array().expect("tasks").iter().map(held).sum();
    let together = tasks["sites"][0]["held"]["estimate_bytes"].as_f64().expect("bytes");
    assert!((one_by_one - together).abs() < 1_000.0, "{one_by_one} is not {together}");
}

#[tokio::test]
async fn a_snapshot_can_be_had_in_each_format_that_it_has_something_for() {
    let scene = Scene::new("export");
    let (mut snapshot, _) = diag_snapshot::file::read(&scene.folder.join("b.diag")).expect("readable");
    let page = scene.viewer.page(&scene.path("/s/{b}/heap")).await;
    for format in diag_analysis::export::ALL {
        let path = scene.path(&format!("/s/{{b}}/export/{}", format.name()));
        assert!(page.contains(&format!("href=\"{path}\"")), "{path}: {page}");
        // Answers are read as text here.
        if format.name() == "pprof" {
            continue;
        }
        let answer = scene.viewer.get(&path).await;
        let mut expected = Vec::new();
        format.export(&snapshot.clone().into(), &mut expected).expect("memory takes it");
        assert_eq!((answer.status, answer.body.as_bytes()), (StatusCode::OK, &*expected), "{path}");
        assert_eq!(answer.headers["content-type"], format.content_type());
        let name = format!("attachment; filename=\"{}.{}\"", scene.b, format.extension());
        assert_eq!(answer.headers["content-disposition"], name.as_str());
    }
    snapshot.heap = None;
    let id = scene.folder.write("no-heap.diag", &snapshot);
    let page = scene.viewer.page(&format!("/s/{id}/tasks")).await;
    assert!(page.contains("/export/openmetrics\"") && !page.contains("/export/collapsed"), "{page}");
    let path = format!("/s/{id}/export/collapsed");
    scene.check_refused(&path, StatusCode::NOT_FOUND, "there are openmetrics, prometheus").await;
}

#[tokio::test]
async fn a_value_changes_the_numbers_and_not_the_frames() {
    let scene = Scene::new("value");
    let heap = async |query: &str| {
        let page = scene.viewer.json(&scene.path(&format!("/api/v1/s/{{b}}/heap?{query}"))).await;
        page["heap"].clone()
    };
    let plain = heap("").await;
    assert_eq!(plain, heap("value=live_bytes").await);
    let root = &plain["callees"][0]["index"];
    for (value, total, expected) in [
        ("live_bytes", "total_bytes", &plain["live"]["estimate_bytes"]),
        ("live_blocks", "total_blocks", &plain["live_blocks"]["estimate_blocks"]),
        ("allocated_bytes", "total_bytes", &plain["since_start"]["allocated_bytes"]),
        ("allocated_blocks", "total_blocks", &plain["since_start"]["allocated_blocks"]),
    ] {
        let page = heap(&format!("value={value}&root={root}")).await;
        assert_eq!(page["root"][0][total].as_f64().map(f64::round), expected.as_f64(), "{value}");
        assert_eq!(page["root"][1]["name"], plain["callees"][0]["name"], "{value}");
        let svg = scene.viewer.page(&scene.path(&format!("/s/{{b}}/heap.svg?value={value}"))).await;
        assert!(svg.contains("svc::cache::put"), "{value}: {svg}");
    }
    scene
        .check(
            "/s/{b}/heap?value=allocated_blocks",
            "value=\"allocated_blocks\" selected>blocks allocated since start<",
        )
        .await;
    scene.check_refused("/s/{b}/heap?value=colour", StatusCode::BAD_REQUEST, "value").await;
}

#[tokio::test]
async fn the_split_is_on_the_pages() {
    let scene = Scene::new("split");
    for path in ["/", "/s/{b}/heap", "/d/{a}..{b}"] {
        scene.check(path, "MiB held free by glibc malloc + 1 MiB thread stacks + 8 MiB code and files").await;
    }
    scene.check("/", "<rect class=\"part-5\"").await;
    scene.check("/d/{a}..{b}", "<th scope=\"row\" class=\"strong\">resident memory</th>").await;
    let text = diag(&scene.folder, &["show", "b.diag"]);
    let second = text.lines().nth(1).expect("a second line");
    assert!(second.starts_with("resident ") && second.contains("live Rust heap"), "{text}");
    assert!(text.lines().count() <= 60, "{text}");
    let text = diag(&scene.folder, &["diff", "a.diag", "b.diag"]);
    assert!(text.contains("where resident memory is\n"), "{text}");
    let markdown = diag(&scene.folder, &["diff", "a.diag", "b.diag", "--format", "markdown"]);
    assert!(markdown.contains("| resident memory |"), "{markdown}");
}

#[tokio::test]
async fn pages_of_tasks_join_without_a_gap() {
    let scene = Scene::new("paging");
    let cli = diag(&scene.folder, &["show", "b.diag", "--tasks", "--format", "jsonl"]);
    let all: Vec<serde_json::Value> =
        cli.lines().map(|line| serde_json::from_str(line).expect("a task")).collect();
    for (sort, field) in [("age", "age_ns"), ("idle", "idle_ns"), ("polls", "polls")] {
        let mut expected: Vec<(i128, u64)> = all.iter().map(|task| key(task, field)).collect();
        expected.sort();
        assert_eq!(walk(&scene, sort, field).await, expected, "sorted by {sort}");
    }
}

/// Falling value, then rising id.
fn key(task: &serde_json::Value, field: &str) -> (i128, u64) {
    let id = task["id"].as_str().expect("an id").parse().expect("a number");
    (-i128::from(task[field].as_u64().expect("a number")), id)
}

async fn walk(scene: &Scene, sort: &str, field: &str) -> Vec<(i128, u64)> {
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/s/{{b}}/site/0?sort={sort}&after={after}");
        let page = scene.viewer.json(&scene.path(&path)).await;
        keys.extend(page["tasks"].as_array().expect("tasks").iter().map(|task| key(task, field)));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return keys,
        }
    }
}

#[tokio::test]
async fn filters_leave_what_they_name() {
    let scene = Scene::new("filters");
    let count = async |query: &str| {
        let tasks = scene.viewer.json(&scene.path(&format!("/api/v1/s/{{b}}/tasks?{query}"))).await;
        tasks["matching_sites"].as_u64().expect("a count")
    };
    assert_eq!(count("").await, 1);
    assert_eq!(count("q=svc.rs").await, 1);
    assert_eq!(count("q=task_7").await, 1);
    assert_eq!(count("q=elsewhere").await, 0);
    assert_eq!(count("state=idle").await, 1);
    assert_eq!(count("state=polling").await, 0);
}

#[tokio::test]
async fn a_folder_that_fills_shows_what_came() {
    let folder = Folder::new("fills");
    let viewer = folder.viewer();
    assert!(viewer.page("/").await.contains("Nothing to show yet"));
    let healthy = Service::new(Churn { until: 60.0, ..Churn::default() }.tasks());
    folder.write("a.diag", &healthy.at(15.0));
    assert!(viewer.page("/").await.contains("what grows takes two"));
    folder.write("b.diag", &healthy.at(30.0));
    let page = viewer.page("/").await;
    assert!(page.contains("clean: nothing leaks") && page.contains("Nothing grows"), "{page}");
    let other = Service { name: "other", ..healthy };
    folder.write("c.diag", &other.at(31.0));
    assert!(viewer.page("/").await.contains("what grows takes two"), "of the newest service there is one");
    let ids = viewer.json("/api/v1").await;
    let id = |i: usize| ids["snapshots"][i]["id"].as_str().expect("an id").to_owned();
    let refused = viewer.get(&format!("/d/{}..{}", id(0), id(2))).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("two services"), "{}", refused.body);
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    let folder = Folder::new("hosts");
    let check = async |viewer: &Viewer, host: Option<&str>, expected: StatusCode| {
        let request = Request::get("/healthz");
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        assert_eq!(viewer.ask(request).await.status, expected, "{host:?}");
    };
    let viewer = folder.viewer();
    for host in ["localhost", "LOCALHOST:9898", "127.0.0.1:1", "[::1]:9898"] {
        check(&viewer, Some(host), StatusCode::OK).await;
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9898", "", "127.0.0.2"] {
        check(&viewer, Some(host), StatusCode::FORBIDDEN).await;
    }
    check(&viewer, None, StatusCode::FORBIDDEN).await;
    let access = Access::default().with_host("dev.internal");
    let viewer = Viewer(router(Source::folder(&*folder), access));
    check(&viewer, Some("dev.internal:9898"), StatusCode::OK).await;
    check(&viewer, Some("evil.example"), StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let scene = Scene::new("headers");
    for path in ["/", "/nothing", "/a/style.css", "/api/v1", "/s/{b}/heap.svg", "/s/{b}/tasks?sort=no"] {
        check_headers(&scene.viewer.get(&scene.path(path)).await.headers, path);
    }
    check_headers(&scene.viewer.ask(Request::get("/").header("host", "evil.example")).await.headers, "403");
    check_headers(&scene.viewer.get(&scene.path("/d/{a}..{b}/heap")).await.headers, "heap");
    let policy =
        |answer: site::Answer| answer.headers["content-security-policy"].to_str().expect("text").to_owned();
    for path in ["/", "/nothing", "/s/{b}/heap", "/d/{a}..{b}/heap"] {
        let page = policy(scene.viewer.get(&scene.path(path)).await);
        assert!(
            page.starts_with("default-src 'none'; script-src 'self';") && !page.contains("unsafe"),
            "{page}"
        );
        assert!(page.contains("require-trusted-types-for 'script'; trusted-types 'none'"), "{page}");
    }
    for path in ["/api/v1", "/a/style.css", "/s/{b}/flame.json", "/healthz"] {
        let other = policy(scene.viewer.get(&scene.path(path)).await);
        assert!(
            other.starts_with("default-src 'none'; style-src 'self'") && !other.contains("script"),
            "{other}"
        );
    }
    let svg = policy(scene.viewer.get(&scene.path("/s/{b}/heap.svg")).await);
    assert!(svg.contains("sandbox allow-scripts") && !svg.contains("same-origin"), "{svg}");
}

fn check_headers(headers: &axum::http::HeaderMap, path: &str) {
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "cache-control",
    ] {
        assert!(headers.contains_key(name), "{path} lacks {name}");
    }
    assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
}

#[tokio::test]
async fn a_token_keeps_others_out() {
    let folder = Folder::new("token");
    let access = Access::default().with_token("s3cret");
    let viewer = Viewer(router(Source::folder(&*folder), access));
    let get = |path: &str| Request::get(path).header("host", "localhost");
    for (name, value, expected) in [
        ("x-nothing", "", StatusCode::UNAUTHORIZED),
        ("authorization", "Bearer s3cret", StatusCode::OK),
        ("authorization", "Bearer s3cre", StatusCode::UNAUTHORIZED),
        ("authorization", "Bearer s3cret0", StatusCode::UNAUTHORIZED),
        ("authorization", "Bearer ", StatusCode::UNAUTHORIZED),
        ("cookie", "other=1; diag_token=s3cret", StatusCode::OK),
        ("cookie", "diag_token=", StatusCode::UNAUTHORIZED),
    ] {
        let answer = viewer.ask(get("/").header(name, value)).await;
        assert_eq!(answer.status, expected, "{name}: {value}");
    }
    assert_eq!(viewer.ask(get("/?token=wrong")).await.status, StatusCode::UNAUTHORIZED);
    let launched = viewer.ask(get("/?token=s3cret")).await;
    assert_eq!(
        (launched.status, &launched.headers["location"]),
        (StatusCode::SEE_OTHER, &"/".parse().expect("a value"))
    );
    assert_eq!(launched.headers["set-cookie"], "diag_token=s3cret; HttpOnly; SameSite=Strict; Path=/");
}

#[tokio::test]
async fn the_tab_says_alarm_and_the_top_bar_what_cannot_be_read() {
    let scene = Scene::new("tab");
    std::fs::write(scene.folder.join("c.diag"), b"no snapshot").expect("a file");
    let page = scene.viewer.page("/").await;
    assert!(page.contains("<title>ALARM: svc · diag</title>"), "{page}");
    assert!(page.contains("/icon-alarm.svg") && page.contains("1 file unreadable"), "{page}");
    let page = scene.viewer.page("/help").await;
    assert!(page.contains("<title>ALARM: ") && page.contains("1 file unreadable"), "{page}");
    let healthy = Folder::new("tab-clean");
    let tasks = Churn { until: 700.0, ..Churn::default() }.tasks();
    let service = Service::new(in_order(tasks));
    for (name, at) in [("a.diag", 300.0), ("b.diag", 420.0), ("c.diag", 540.0)] {
        healthy.write(name, &service.at(at));
    }
    let page = healthy.viewer().page("/").await;
    assert!(page.contains("<title>clean: ") && page.contains("/icon-clean.svg"), "{page}");
    assert!(!page.contains("unreadable") && page.contains("3 snapshots, the newest"), "{page}");
}
