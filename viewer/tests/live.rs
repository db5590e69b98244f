//! A running service as the source: it is asked when a page is loaded, and may stay silent.

mod site;

use diag_analysis::pprof::{self, CpuFacts, CpuSample};
use diag_snapshot::{Snapshot, StackIndex, Table};
use diag_test_support::agent::{MockAgent, ok};
use diag_test_support::scenario::{Service, Steady, in_order};
use diag_viewer::{Access, Source, router};
use site::{Folder, Viewer};

fn viewer(address: &str, token: Option<&str>) -> Viewer {
    viewer_with(address, token.map_or_else(Access::default, |token| Access::default().with_token(token)))
}

fn viewer_with(address: &str, access: Access) -> Viewer {
    Viewer(router(Source::parse(&format!("http://{address}")).expect("an address"), access))
}

/// `POST path` as a page of `site` would send it, or no page at all.
fn post(path: &str, site: Option<&str>) -> axum::http::request::Builder {
    let request = axum::http::Request::post(path).header("host", "localhost");
    match site {
        Some(site) => request.header("sec-fetch-site", site),
        None => request,
    }
}

fn service_of_30() -> Service {
    Service::new(in_order(Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks()))
}

/// What the agent of a service with 30 idle tasks answers at this second.
fn idle_service(at: f64) -> Vec<u8> {
    diag_snapshot::write(&service_of_30().at(at))
}

#[tokio::test]
async fn a_service_is_asked_once_for_pages_loaded_together() {
    let agent = MockAgent::new(vec![idle_service(20.0)]);
    let viewer = viewer(agent.address(), None);
    assert!(viewer.page("/").await.contains(&format!("{} #1", agent.address())));
    assert!(viewer.page("/s/live/tasks").await.contains("30 live tasks"));
    let listed = viewer.json("/api/v1").await;
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(1));
    assert_eq!(agent.requests().len(), 1);
}

#[tokio::test]
async fn the_token_is_handed_on() {
    let agent = MockAgent::new(vec![Vec::new()]);
    let request =
        axum::http::Request::get("/").header("host", "localhost").header("authorization", "Bearer hush");
    viewer(agent.address(), Some("hush")).ask(request).await;
    let asked = agent.requests().concat().to_lowercase();
    assert!(asked.contains("authorization: bearer hush\r\n"), "{asked}");
}

#[tokio::test]
async fn what_went_wrong_is_on_the_page() {
    let agent = MockAgent::new(vec![b"<html>".to_vec()]);
    let address = agent.address().to_owned();
    assert!(viewer(&address, None).page("/").await.contains("not a diag snapshot"));
    agent.requests();
    let page = viewer(&address, None).page("/").await;
    assert!(page.contains("nothing listens at"), "{page}");
}

#[tokio::test]
async fn tasks_are_asked_by_a_post_from_our_own_page_alone() {
    let agent = MockAgent::new(vec![idle_service(20.0), idle_service(30.0)]);
    let viewer = viewer(agent.address(), None);
    assert!(viewer.page("/").await.contains("Ask tasks where they wait"));
    assert_eq!(viewer.ask(post("/ask", Some("cross-site"))).await.status, 403);
    assert_eq!(viewer.ask(post("/ask", None).header("origin", "http://evil.example")).await.status, 403);
    assert_eq!(viewer.ask(axum::http::Request::get("/ask").header("host", "localhost")).await.status, 405);
    let asked = post("/ask", Some("same-origin")).header("origin", "http://localhost");
    let answer = viewer.ask(asked).await;
    assert_eq!(answer.status, 303);
    let to = answer.headers["location"].to_str().expect("an address");
    assert!(to.starts_with("/s/") && to.ends_with("/tasks"), "{to}");
    let requests = agent.requests();
    assert!(
        requests[0].starts_with("GET /snapshot HTTP") && requests[1].starts_with("GET /snapshot?ask=1 HTTP")
    );
}

#[tokio::test]
async fn a_sweep_is_a_button_of_our_own_pages_alone() {
    let agent = MockAgent::new(vec![idle_service(20.0), idle_service(30.0)]);
    let of_agent = viewer(agent.address(), None);
    assert!(of_agent.page("/").await.contains("Find who holds what"));
    assert_eq!(of_agent.ask(post("/holders", Some("cross-site"))).await.status, 403);
    assert_eq!(
        of_agent.ask(axum::http::Request::get("/holders").header("host", "localhost")).await.status,
        405
    );
    let answer = of_agent.ask(post("/holders", Some("same-origin"))).await;
    let to = answer.headers.get("location").expect("it leads there").to_str().expect("an address");
    assert!(answer.status == 303 && to.starts_with("/s/") && to.ends_with("/tasks"), "{to}");
    assert!(agent.requests()[1].starts_with("GET /snapshot?holders=1 HTTP"));
    let agent = MockAgent::new(vec![idle_service(20.0)]);
    let reads = viewer_with(agent.address(), Access::default().with_read_only());
    assert!(!reads.page("/").await.contains("Find who holds what"));
    assert_eq!(reads.ask(post("/holders", Some("same-origin"))).await.status, 404);
    agent.requests();
}

#[tokio::test]
async fn what_only_reads_asks_nobody() {
    let agent = MockAgent::new(vec![idle_service(20.0)]);
    let viewer = viewer_with(agent.address(), Access::default().with_read_only());
    assert!(!viewer.page("/").await.contains("Ask tasks where they wait"));
    assert_eq!(viewer.ask(post("/ask", Some("same-origin"))).await.status, 404);
    assert_eq!(agent.requests().len(), 1);
    let folder = router(Source::folder("."), Access::default());
    assert_eq!(Viewer(folder).ask(post("/ask", Some("same-origin"))).await.status, 404);
}

/// The `Origin` that a browser sends with a form of this page (Fetch, "append a request `Origin` header").
fn origin_of_form(page: &axum::http::HeaderMap) -> &'static str {
    match page["referrer-policy"].to_str().expect("a policy") {
        "no-referrer" => "null",
        _ => "http://localhost",
    }
}

#[tokio::test]
async fn the_button_of_our_own_page_is_taken_as_a_browser_sends_it() {
    let agent = MockAgent::new(vec![idle_service(20.0), idle_service(30.0)]);
    let viewer = viewer(agent.address(), None);
    let page = viewer.ask(axum::http::Request::get("/").header("host", "localhost")).await;
    // A browser names the site only to addresses that it trusts, which `--allow-host` need not be.
    let button = post("/ask", None).header("origin", origin_of_form(&page.headers));
    assert_eq!(viewer.ask(button).await.status, 303);
    assert_eq!(viewer.ask(post("/ask", None).header("origin", "null")).await.status, 403);
    assert_eq!(viewer.ask(post("/ask", Some("same-site"))).await.status, 403);
    agent.requests();
}

#[tokio::test]
async fn asking_needs_the_token() {
    let agent = MockAgent::new(vec![Vec::new()]);
    let viewer = viewer(agent.address(), Some("hush"));
    let asking = || post("/ask", Some("same-origin")).header("origin", "http://localhost");
    assert_eq!(viewer.ask(asking()).await.status, 401);
    assert_eq!(viewer.ask(asking().header("authorization", "Bearer other")).await.status, 401);
    // The one request that the agent gets is that of who knows it.
    viewer.ask(asking().header("authorization", "Bearer hush")).await;
    let asked = agent.requests().concat();
    assert!(asked.starts_with("GET /snapshot?ask=1 HTTP"), "{asked}");
}

/// What the top bar of a page says of the sources.
fn top(page: &str) -> &str {
    let bar =
        page.split("<header").nth(1).and_then(|rest| rest.split("</header>").next()).expect("a top bar");
    bar.split("class=\"states\">").nth(1).and_then(|rest| rest.split("</p>").next()).expect("a state")
}

#[tokio::test]
async fn a_service_that_is_gone_is_seen_on_top_of_every_page() {
    let agent = MockAgent::new(vec![idle_service(20.0)]);
    let viewer = viewer(agent.address(), None);
    let page = viewer.page("/").await;
    assert!(top(&page).contains("class=\"state good\"") && top(&page).contains("live "), "{}", top(&page));
    let id = viewer.json("/api/v1").await["snapshots"][0]["id"].as_str().expect("an id").to_owned();
    agent.requests();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let pages = ["/", "/help", "/nothing", "/s/live/tasks", "/s/{s}/tasks", "/s/{s}/site/0", "/s/{s}/heap"];
    for path in pages.into_iter().chain(["/s/{s}/resources", "/s/{s}/groups", "/d/{s}..{s}"]) {
        let page = viewer.get(&path.replace("{s}", &id)).await.body;
        assert!(top(&page).contains("class=\"state alarm\""), "{path}: {}", top(&page));
        assert!(top(&page).contains("stale ") && top(&page).contains("nothing listens at"), "{path}");
    }
    let listed = viewer.json("/api/v1").await;
    assert!(listed["source"]["agents"][0]["problem"].is_string(), "{listed}");
}

/// How many snapshots there are, without asking for one.
async fn listed(viewer: &Viewer) -> usize {
    viewer.json("/api/v1").await["snapshots"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_service_is_asked_though_nobody_looks_and_what_it_says_outlives_the_viewer() {
    let folder = site::Folder::new("keep");
    let agent = MockAgent::new([20.0, 30.0, 40.0].map(idle_service).to_vec());
    let address = agent.address().to_owned();
    let every = std::time::Duration::from_millis(50);
    let viewer = viewer_with(&address, Access::default().with_polling(every).with_keep(&*folder));
    // The agent ends with its third answer, and nobody but the viewer asks.
    tokio::task::spawn_blocking(|| agent.requests()).await.expect("three are asked for");
    let page = viewer.page("/").await;
    assert_eq!(listed(&viewer).await, 3, "{page}");
    assert!(
        page.contains("too early to say") || page.contains("clean") || page.contains("finding"),
        "{page}"
    );
    let ids = viewer.json("/api/v1").await;
    drop(viewer);
    let later = folder.viewer();
    assert_eq!(listed(&later).await, 3);
    for summary in ids["snapshots"].as_array().expect("snapshots") {
        later.page(&format!("/s/{}/tasks", summary["id"].as_str().expect("an id"))).await;
    }
}

#[tokio::test]
async fn nobody_is_asked_without_polling() {
    let agent = MockAgent::new(vec![idle_service(20.0)]);
    let viewer = viewer(agent.address(), None);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(viewer.page("/").await.contains(&format!("{} #1", agent.address())), "the first answer");
    assert_eq!(listed(&viewer).await, 1);
    assert_eq!(agent.requests().len(), 1);
}

#[tokio::test]
async fn a_snapshot_is_taken_now_by_a_post_from_our_own_page_alone() {
    let agent = MockAgent::new(vec![idle_service(20.0), idle_service(30.0)]);
    let address = agent.address().to_owned();
    let viewer = viewer(&address, None);
    assert!(viewer.page("/").await.contains("Take a snapshot now"));
    assert_eq!(viewer.ask(post("/snapshot", Some("cross-site"))).await.status, 403);
    assert_eq!(viewer.get("/snapshot").await.status, 405);
    assert_eq!(viewer.ask(post("/snapshot", Some("same-origin"))).await.status, 303);
    assert_eq!(listed(&viewer).await, 2);
    assert_eq!(agent.requests().len(), 2);
    let silent = viewer_with(&address, Access::default().with_read_only());
    assert_eq!(silent.ask(post("/snapshot", Some("same-origin"))).await.status, 404);
}

/// A CPU profile of the service `of`, as its agent answers it.
fn cpu_profile(of: &Snapshot) -> Vec<u8> {
    let sample = |stack: u32| CpuSample { stack: StackIndex(stack), task_site: None, samples: 2 };
    let facts = CpuFacts { taken_unix_us: 9, for_us: 1_000_000, period_ns: 10_000_000, cpu_ns: 60_000_000 };
    pprof::cpu(&of.stacks, &of.strings, &[0, 1, 2].map(sample), facts)
}

#[tokio::test]
async fn what_runs_on_cpus_is_in_the_next_snapshot_of_who_asks_for_it() {
    let of = Snapshot { cpu_samples: Table::default(), ..diag_test_support::iothub::service(24, 24) };
    let answers = vec![idle_service(20.0), cpu_profile(&of), diag_snapshot::write(&of)];
    let agent = MockAgent::new(answers);
    let viewer = viewer(agent.address(), None);
    assert!(viewer.page("/").await.contains("Profile the CPU for 10 s"));
    assert_eq!(viewer.ask(post("/profile?seconds=2", Some("cross-site"))).await.status, 403);
    let answer = viewer.ask(post("/profile?seconds=2", Some("same-origin"))).await;
    let page =
        answer.headers.get("location").expect("it leads there").to_str().expect("an address").to_owned();
    assert!(answer.status == 303 && page.ends_with("/cpu"), "{page}");
    let shown = viewer.page(&page).await;
    assert!(shown.contains("<h1>60 ms on a CPU</h1>"), "{shown}");
    // The heap of the same snapshot is as the service said it, and points to its own stacks.
    let heap = viewer.json(&format!("/api/v1{}", page.replace("/cpu", "/heap"))).await;
    let folder = Folder::new("live-cpu");
    let id = folder.write("plain.diag", &of);
    let without = folder.viewer().json(&format!("/api/v1/s/{id}/heap")).await;
    assert!(heap["heap"]["callees"].is_array(), "{heap}");
    assert_eq!(heap["heap"], without["heap"]);
    let requests = agent.requests();
    assert!(requests[1].starts_with("GET /debug/pprof/profile?seconds=2 "), "{requests:?}");
}

#[tokio::test]
async fn why_a_service_has_no_cpu_profile_is_said_in_its_own_words() {
    let why = "the CPU is not profiled: build with the feature cpu-profile of diag";
    let refusal = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{why}\n", why.len() + 1);
    let agent = MockAgent::raw(vec![refusal.into_bytes(), ok(b"no profile")]);
    let viewer = viewer(agent.address(), None);
    for expected in [why, "is no CPU profile"] {
        let answer = viewer.ask(post("/profile?seconds=1", Some("same-origin"))).await;
        assert!(answer.status == 422 && answer.body.contains(expected), "{} {}", answer.status, answer.body);
    }
    agent.requests();
}

#[tokio::test]
async fn a_service_that_fails_over_and_over_is_left_in_peace() {
    let agent = MockAgent::raw(vec![b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec(); 4]);
    let viewer = viewer(agent.address(), None);
    for _ in 0..4 {
        assert!(viewer.page("/").await.contains("answers 500"));
    }
    agent.requests();
    // It listens no more, but nobody goes to see.
    let page = viewer.page("/").await;
    assert!(
        page.contains("failed too often and is asked again in") && !page.contains("nothing listens"),
        "{page}"
    );
}

#[tokio::test]
async fn the_newest_is_compared_with_the_start_of_its_process_and_with_the_one_before() {
    let folder = site::Folder::new("start");
    let other = Service { instance: 8, ..service_of_30() };
    folder.write("0.diag", &other.at(15.0));
    let [first, before, last] =
        [20.0, 30.0, 40.0].map(|at| folder.write(&format!("{at}.diag"), &service_of_30().at(at)));
    let viewer = folder.viewer();
    let since = |id: &str, end: &str| format!("href=\"/d/{id}..{last}{end}\"");
    let page = viewer.page("/").await;
    assert!(page.contains(&(since(&first, "") + ">with start")), "{page}");
    assert!(page.contains(&(since(&before, "") + ">with the one before")), "{page}");
    for (path, end) in [("tasks", ""), ("heap", "/heap"), ("site/0", ""), ("resources", "")] {
        let page = viewer.page(&format!("/s/live/{path}")).await;
        assert!(page.contains(&(since(&first, end) + ">compare with start")), "{path}: {page}");
        assert!(page.contains(&(since(&before, end) + ">compare with the one before")), "{path}: {page}");
    }
    let page = viewer.page(&format!("/s/{before}/tasks")).await;
    assert!(page.contains(&format!("/d/{first}..{before}\">compare with start")), "{page}");
    assert!(!page.contains("with the one before"), "it is the start: {page}");
    assert!(!viewer.page(&format!("/s/{first}/tasks")).await.contains("compare with"), "nothing is before");
    assert!(viewer.page(&format!("/d/{first}..{last}")).await.contains("30"));
}

/// The names of the files in a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("text")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_an_earlier_run_left_counts_among_what_is_kept() {
    let folder = site::Folder::new("keep-again");
    let agent = MockAgent::new(vec![idle_service(900.0)]);
    let address = agent.address().to_owned();
    let of = address.replace([':', '.'], "-");
    // An earlier run was ended before it could tidy up; the newest of its files are the last by name.
    for number in 0..90_u32 {
        let path = folder.join(format!("live-{of}-{number:010x}.diag"));
        diag_snapshot::file::write(&path, &idle_service(f64::from(number))).expect("a file");
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(10 * u64::from(100 - number));
        std::fs::File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(at))
            .expect("a time");
    }
    let others =
        ["before.diag", &format!("live-{of}-extra-0123456789.diag"), &format!("live-{of}-notes.txt")];
    others.iter().for_each(|name| std::fs::write(folder.join(name), "").expect("a file"));
    let viewer = viewer_with(&address, Access::default().with_keep(&*folder));
    viewer.json("/api/v1").await;
    agent.requests();
    let names = names(&folder);
    let ours: Vec<&String> = names.iter().filter(|name| !others.contains(&name.as_str())).collect();
    assert_eq!((ours.len(), names.len()), (60, 63), "{names:?}");
    for number in (83..90).chain([0]) {
        let name = format!("live-{of}-{number:010x}.diag");
        assert!(names.contains(&name), "the first and the newest stay: {name}: {names:?}");
    }
}
