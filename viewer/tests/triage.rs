//! The triage page and the page of a finding over time: what all snapshots of a service say together.

mod site;

use std::path::{Path, PathBuf};

use diag_test_support::scenario::{Block, Churn, Ghosts, Service, in_order};
use diag_viewer::{Access, Source, router};
use serde_json::Value;
use site::{Folder, Viewer};

/// Tasks that rest for ever and a cache that only grows, both from a while after start on.
fn leaking(name: &'static str) -> Service {
    let tasks = in_order(
        [
            Churn { until: 400.0, ..Churn::default() }.tasks(),
            Ghosts { line: 7, from: 20.0, until: 300.0, per_s: 5.0 }.tasks(),
        ]
        .concat(),
    );
    let block = |i: u32| Block {
        function: "svc::cache::put",
        size_bytes: 256 << 10,
        born: 20.0 + f64::from(i) * 0.2,
        freed: None,
        task: Some(i as usize % tasks.len()),
    };
    let blocks = (0..1400).map(block).collect();
    Service { name, blocks, ..Service::new(tasks) }
}

fn folder(test: &str) -> Folder {
    let folder = Folder::new(test);
    let service = leaking("svc");
    for (place, at) in [5.0, 60.0, 120.0, 180.0, 240.0, 300.0].into_iter().enumerate() {
        folder.write(&format!("{place}.diag"), &service.at(at));
    }
    folder
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series").join(name)
}

fn viewer_of(path: &Path) -> Viewer {
    Viewer(router(Source::folder(path), Access::default()))
}

/// What the program prints as JSON.
fn diag(args: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_diag")).args(args).output().expect("it runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no list {key} in {value}"))
}

/// How sure, as a number.
fn grade(finding: &Value) -> usize {
    let grades = ["possible", "likely", "proven"];
    grades.iter().position(|grade| finding["confidence"] == *grade).expect("a known grade")
}

#[tokio::test]
async fn the_answer_is_that_of_all_snapshots_and_never_weaker_than_a_pair() {
    let scripted = folder("series");
    let recorded = ["seen_set", "stopped_consumer", "futurelock"].map(recorded);
    let mut weighed = 0;
    for path in recorded.iter().map(PathBuf::as_path).chain([&*scripted]) {
        let viewer = viewer_of(path);
        let overview = viewer.json("/api/v1").await;
        let report = &overview["services"][0]["compared"]["judged"]["report"];
        let ids: Vec<&str> = list(&overview, "snapshots")
            .iter()
            .map(|summary| summary["id"].as_str().expect("an id"))
            .collect();
        let (last, before) = ids.split_last().expect("snapshots");
        for first in before {
            let pair = viewer.json(&format!("/api/v1/d/{first}..{last}")).await;
            for finding in list(&pair, "findings").iter().filter(|finding| grade(finding) > 0) {
                let of_all = list(report, "findings").iter().find(|other| other["id"] == finding["id"]);
                let of_all =
                    of_all.unwrap_or_else(|| panic!("{}: only a pair has {finding}", path.display()));
                assert!(grade(of_all) >= grade(finding), "{}: {of_all}", path.display());
                weighed += 1;
            }
        }
    }
    assert!(weighed >= 10, "{weighed} findings of pairs");
}

#[tokio::test]
async fn the_page_has_the_numbers_of_check_and_trend() {
    for path in [&*folder("parity"), &*recorded("seen_set"), &*recorded("seen_set--healthy")] {
        let overview = viewer_of(path).json("/api/v1").await;
        let judged = &overview["services"][0]["compared"]["judged"];
        let folder = path.to_str().expect("a path");
        assert_eq!(judged["report"], diag(&["check", folder, "--format", "json"]), "{folder}");
        let trend = diag(&["trend", folder, "--format", "json"]);
        assert_eq!(list(judged, "runs").last(), Some(&trend), "{folder}");
        for (course, finding) in list(judged, "findings").iter().zip(list(&judged["report"], "findings")) {
            assert_eq!(course["id"], finding["id"]);
            assert_eq!(list(course, "values").len(), list(&trend, "moments").len(), "{course}");
        }
    }
}

#[tokio::test]
async fn findings_are_sentences_with_a_picture_each() {
    let viewer = viewer_of(&recorded("futurelock"));
    let page = viewer.page("/").await;
    let overview = viewer.json("/api/v1").await;
    let judged = &overview["services"][0]["compared"]["judged"];
    let courses = list(judged, "findings");
    let tasks = courses.iter().find(|course| course["unit"] == "tasks").expect("the tasks leak");
    assert_eq!(tasks["waits_for"], "mutex at src/bin/futurelock.rs:28");
    for part in ["amount", "location", "speed", "waits_for"] {
        let part = tasks[part].as_str().unwrap_or_else(|| panic!("no {part}: {tasks}"));
        assert!(page.contains(part), "{part}: {page}");
        assert!(tasks["sentence"].as_str().is_some_and(|all| all.contains(part)), "{tasks}");
    }
    assert!(page.contains(&format!("<time datetime=\"{}\"", tasks["since"].as_str().expect("a time"))));
    let values: Vec<u64> = list(tasks, "values").iter().filter_map(Value::as_u64).collect();
    assert!(values.len() == 6 && values.windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
    let shown = page.split("class=\"findings\"").nth(1).and_then(|rest| rest.split("</ul>").next());
    assert_eq!(shown.expect("findings").matches("class=\"sparkline\"").count(), courses.len());
}

#[tokio::test]
async fn two_ticks_of_the_timeline_lead_to_a_pair() {
    let viewer = viewer_of(&recorded("seen_set"));
    let page = viewer.page("/").await;
    let ticks = |page: &str| -> Vec<String> {
        let timeline = page.split("class=\"timeline\"").nth(1).and_then(|rest| rest.split("</svg>").next());
        let links = timeline.expect("a timeline").split("<a href=\"").skip(1);
        links.map(|link| link.split('"').next().expect("an address").to_owned()).collect()
    };
    let first = ticks(&page);
    assert_eq!(first.len(), 6, "{first:?}");
    let second = ticks(&viewer.page(&first[4]).await);
    assert!(second[1].starts_with("/d/") && second[5].starts_with("/d/"), "{second:?}");
    for pair in [&second[1], &second[5]] {
        assert!(viewer.page(pair).await.contains("<span>what changed</span>"), "{pair}");
    }
    let unknown = viewer.page("/?from=%22%3E%3Cscript%3E").await;
    assert!(!unknown.contains("<script>"), "{unknown}");
}

#[tokio::test]
async fn each_service_of_a_folder_has_an_answer() {
    let folder = folder("services");
    let other =
        Service { name: "other<b>", ..Service::new(Churn { until: 700.0, ..Churn::default() }.tasks()) };
    for (name, at) in [("x.diag", 300.0), ("y.diag", 420.0), ("z.diag", 540.0)] {
        folder.write(name, &other.at(at));
    }
    let viewer = folder.viewer();
    let overview = viewer.json("/api/v1").await;
    let names: Vec<&Value> = list(&overview, "services").iter().map(|story| &story["service"]).collect();
    assert_eq!(names, ["other<b>", "svc"]);
    let page = viewer.page("/").await;
    assert!(page.contains("<h1>svc: 2 findings") && page.contains("other&#60;b&#62;: clean"), "{page}");
    assert!(page.contains("<title>ALARM: "), "the tab says the worst");
}

#[tokio::test]
async fn a_finding_has_a_page_over_time() {
    let folder = folder("finding");
    let viewer = folder.viewer();
    let overview = viewer.json("/api/v1").await;
    let report = &overview["services"][0]["compared"]["judged"]["report"];
    for finding in list(report, "findings") {
        let id = finding["id"].as_str().expect("an id");
        let json = viewer.json(&format!("/api/v1/f/{id}")).await;
        assert_eq!(&json["finding"], finding);
        let strip = list(&json["over_time"], "strip");
        assert_eq!(strip.len(), 4, "{strip:?}");
        for pair in strip {
            let [a, b] = ["before", "after"].map(|side| pair[side].as_str().expect("an id"));
            let of_pair = viewer.json(&format!("/api/v1/d/{a}..{b}")).await;
            let of_pair = list(&of_pair, "findings").iter().find(|other| other["id"] == id);
            assert_eq!(of_pair.map_or(&Value::Null, |found| &found["confidence"]), &pair["confidence"]);
        }
        let page = viewer.page(&format!("/f/{id}")).await;
        assert!(page.contains("class=\"chain\"") && page.contains("class=\"strip\""), "{page}");
        for link in page
            .split("<ol class=\"chain\"")
            .nth(1)
            .expect("a chain")
            .split("</ol>")
            .next()
            .expect("its end")
            .split("href=\"")
            .skip(1)
        {
            let link = link.split('"').next().expect("an address").replace("&#38;", "&");
            viewer.page(&link).await;
        }
    }
    assert_eq!(viewer.get("/f/none").await.status, 404);
    assert_eq!(viewer.get("/f/none?from=none").await.status, 404);
}

#[tokio::test]
async fn a_window_leaves_out_what_came_later() {
    let folder = folder("window");
    let viewer = folder.viewer();
    let overview = viewer.json("/api/v1").await;
    let ids = list(&overview, "snapshots");
    let id = list(&overview["services"][0]["compared"]["judged"]["report"], "findings")[0]["id"].as_str();
    let (id, from, to) = (id.expect("an id"), ids[1]["id"].as_str().expect("an id"), ids[3]["id"].as_str());
    let to = to.expect("an id");
    let json = viewer.json(&format!("/api/v1/f/{id}?from={from}&to={to}")).await;
    assert_eq!((&json["after"]["id"], list(&json["over_time"], "strip").len()), (&ids[3]["id"], 2));
}

#[tokio::test]
async fn names_of_a_finding_are_text_and_fill_no_slot() {
    let folder = Folder::new("triage-hostile");
    let name = "<!--sources--><!--answer--><img src=x onerror=alert(1)>\u{202e}";
    let mut service = leaking(name);
    for block in &mut service.blocks {
        block.function = "svc::<img src=x onerror=alert(2)>&\"'?#::put";
    }
    for (place, at) in [60.0, 180.0, 300.0].into_iter().enumerate() {
        folder.write(&format!("{place}.diag"), &service.at(at));
    }
    let viewer = folder.viewer();
    let overview = viewer.json("/api/v1").await;
    let findings = list(&overview["services"][0]["compared"]["judged"]["report"], "findings");
    let of_heap = findings.iter().find(|finding| finding["rule"] == "heap-growth").expect("the cache");
    let pages = [
        viewer.page("/").await,
        viewer.page(&format!("/f/{}", of_heap["id"].as_str().expect("an id"))).await,
    ];
    for page in &pages {
        assert!(!page.contains("<img") && !page.contains('\u{202e}') && !page.contains("<!--"), "{page}");
        assert!(page.contains("alert(1)") && page.contains("alert(2)"), "{page}");
        assert_eq!(page.matches("class=\"state ").count(), 1, "{page}");
    }
    let heap = pages[1].split("href=\"").find(|link| link.contains("/heap?q=")).expect("a link to the heap");
    let heap = heap.split('"').next().expect("an address").replace("&#38;", "&");
    assert!(viewer.page(&heap).await.contains("alert(2)"));
}

/// From the finding to all who wait with its tasks, in one step.
#[tokio::test]
async fn the_await_of_a_finding_leads_to_its_page() {
    let viewer = viewer_of(&recorded("futurelock"));
    let overview = viewer.json("/api/v1").await;
    let finding = &list(&overview["services"][0]["compared"]["judged"]["report"], "findings")[0];
    let id = finding["id"].as_str().expect("an id");
    let page = viewer.page(&format!("/f/{id}")).await;
    let chain = page.split("<ol class=\"chain\"").nth(1).and_then(|rest| rest.split("</ol>").next());
    let link = chain.and_then(|chain| chain.split("href=\"").find(|link| link.contains("/await/")));
    let link = link.and_then(|link| link.split('"').next()).expect("a link");
    let of_await = viewer.json(&format!("/api/v1{link}")).await;
    let waits = finding["waiting_at"]["all"]["at"].as_str().or(finding["waiting_at"]["at"].as_str());
    assert_eq!(of_await["at"]["text"].as_str(), waits, "{finding:#}");
}
