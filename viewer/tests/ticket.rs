//! Findings as files: they need no viewer, say what the page says, and are text whatever the names are.

mod chromium;
mod site;

use axum::http::StatusCode;
use chromium::{Browser, installed};
use diag_snapshot::{NameRow, SiteRow, Snapshot};
use serde_json::json;
use site::{Answer, Folder, Viewer, leaking};

const MARKUP: &str = "</style><script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// The same with a name for everything.
fn named(mut snapshot: Snapshot, name: &str) -> Snapshot {
    let text = snapshot.strings.intern(name);
    snapshot.process.service = name.to_owned();
    snapshot.sites =
        snapshot.sites.iter().map(|site| SiteRow { file: text, type_name: text, ..site }).collect();
    let names: Vec<NameRow> = snapshot.stacks.names.iter().collect();
    snapshot.stacks.names = names.into_iter().map(|row| NameRow { function: text, ..row }).collect();
    snapshot
}

struct Scene {
    viewer: Viewer,
    folder: Folder,
    pair: String,
    /// The ids of the findings.
    findings: Vec<String>,
}

impl Scene {
    async fn new(test: &str, name: Option<&str>) -> Self {
        let folder = Folder::new(test);
        let [a, b] = [("a.diag", 15.0), ("b.diag", 30.0)].map(|(file, at)| {
            let snapshot = leaking().at(at);
            folder.write(file, &name.map_or(snapshot.clone(), |name| named(snapshot, name)))
        });
        let (viewer, pair) = (folder.viewer(), format!("{a}..{b}"));
        let report = viewer.json(&format!("/api/v1/d/{pair}")).await;
        let findings = report["findings"].as_array().expect("findings");
        let findings =
            findings.iter().map(|finding| finding["id"].as_str().expect("an id").to_owned()).collect();
        Scene { viewer, folder, pair, findings }
    }

    async fn file(&self, path: &str) -> Answer {
        let answer = self.viewer.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        let disposition = answer.headers["content-disposition"].to_str().expect("text");
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        answer
    }

    /// Where each finding can be had, over time and of the pair.
    fn places(&self) -> Vec<String> {
        let places = |id: &String| [format!("/f/{id}"), format!("/d/{}/v/{id}", self.pair)];
        self.findings.iter().flat_map(places).collect()
    }
}

/// Nothing in it leads out of it.
fn check_contained(page: &str, path: &str) {
    for forbidden in
        ["<script", "<img", "<link", "<iframe", "<a ", "href=", "src=", "url(", "@import", "http:", "https:"]
    {
        let known = page.matches("url(#hatch)").count();
        let found = page.matches(forbidden).count() - if forbidden == "url(" { known } else { 0 };
        assert_eq!(found, 0, "{path} has {forbidden}: {page}");
    }
    assert!(
        page.contains("content=\"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;\""),
        "{path}: {page}"
    );
}

#[tokio::test]
async fn a_finding_is_one_page_with_all_that_its_own_page_says() {
    let scene = Scene::new("ticket", None).await;
    assert_eq!(scene.findings.len(), 2, "tasks and memory");
    for place in scene.places() {
        let page = scene.viewer.page(&place).await;
        let answer = scene.file(&format!("{place}/export/html")).await;
        assert_eq!(
            answer.headers["content-security-policy"],
            "default-src 'none'; style-src 'unsafe-inline'"
        );
        let file = answer.body;
        check_contained(&file, &place);
        let twin = scene.viewer.json(&format!("/api/v1{place}")).await;
        let mut said = vec![twin["finding"]["id"].as_str(), twin["over_time"]["course"]["sentence"].as_str()];
        for evidence in ["evidence", "counter_evidence"] {
            let sentences = twin["finding"][evidence].as_array().expect("sentences");
            said.extend(sentences.iter().map(|sentence| sentence["text"].as_str().or(sentence.as_str())));
        }
        for says in said.into_iter().flatten().map(|says| says.replace('<', "&#60;").replace('\'', "&#39;")) {
            assert!(page.contains(&says) && file.contains(&says), "{place}: {says}: {file}");
        }
        assert!(file.contains("What speaks for it") && file.contains("class=\"flame-svg\""), "{place}");
        assert!(file.contains("svc::cache::put"), "the frames of its heap");
        assert_eq!(file.contains("class=\"strip\""), place.starts_with("/f/"));
        assert!(page.contains(&format!("{place}/export/html")), "{page}");
    }
}

#[tokio::test]
async fn it_is_markdown_and_json_too() {
    let scene = Scene::new("ticket-text", None).await;
    for place in scene.places() {
        let json = scene.file(&format!("{place}/export/json")).await;
        assert_eq!(json.body, scene.viewer.page(&format!("/api/v1{place}")).await);
        let text = scene.file(&format!("{place}/export/markdown")).await.body;
        assert!(text.starts_with("### ") && text.contains("**Next:**"), "{text}");
        assert!(text.contains("2026"), "when: {text}");
        let none = scene.viewer.get(&format!("{place}/export/pdf")).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND);
        assert!(none.body.contains("html, markdown, json"), "{}", none.body);
    }
    let diff = format!("/d/{}", scene.pair);
    let page = scene.viewer.page(&diff).await;
    let json = scene.file(&format!("{diff}/export/json")).await.body;
    assert_eq!(json, scene.viewer.page(&format!("/api/v1{diff}")).await);
    assert!(scene.file(&format!("{diff}/export/markdown")).await.body.starts_with("## diag: "));
    assert!(
        page.contains(&format!("{diff}/export/markdown")) && page.contains(&format!("{diff}/export/json"))
    );
    assert_eq!(scene.viewer.get("/f/nothing/export/html").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_snapshot_itself_is_handed_over() {
    let folder = Folder::new("ticket-diag");
    let id = folder.write("a.diag", &leaking().at(15.0));
    let viewer = folder.viewer();
    assert!(viewer.page(&format!("/s/{id}/tasks")).await.contains(&format!("/s/{id}/export/diag\"")));
    let request = axum::http::Request::get(format!("/s/{id}/export/diag")).header("host", "localhost");
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(viewer.0.clone(), request).await.expect("an answer");
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
    assert_eq!(bytes, std::fs::read(folder.join("a.diag")).expect("the file"));
    let none = viewer.get(&format!("/s/{id}/export/nothing")).await;
    assert!(none.body.contains("firefox") && none.body.contains("speedscope, diag"), "{}", none.body);
}

#[tokio::test]
async fn markup_in_names_is_text() {
    let scene = Scene::new("ticket-hostile", Some(MARKUP)).await;
    assert!(!scene.findings.is_empty());
    for place in scene.places() {
        let file = scene.file(&format!("{place}/export/html")).await.body;
        check_contained(&file.replace("src=x", ""), &place);
        assert_eq!(file.matches("</style>").count(), 2, "{file}");
        assert!(file.contains("alert("), "it does not show the name at all: {file}");
        let text = scene.file(&format!("{place}/export/markdown")).await.body;
        assert!(!text.replace("\\<", "").contains('<') && text.contains("alert("), "{text}");
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
async fn a_browser_opens_it_from_a_disk() {
    let Some(program) = installed() else {
        println!("skipped: no browser (10 checks)");
        return;
    };
    for (test, name) in [("ticket-browser", None), ("ticket-browser-hostile", Some(MARKUP))] {
        let scene = Scene::new(test, name).await;
        let mut browser = Browser::start(program, &scene.folder.join("profile"));
        for place in scene.places() {
            let file = scene.folder.join("ticket.html");
            std::fs::write(&file, scene.file(&format!("{place}/export/html")).await.body).expect("a file");
            browser.open(&format!("file://{}", file.display()));
            browser.check_clean(&place);
            // Its style holds, and its picture has frames as wide as they say.
            let style = "getComputedStyle(document.querySelector('.answer')).borderLeftWidth";
            assert_eq!(browser.value(style), json!("5px"), "{place}");
            let width = "document.querySelector('.flame-svg svg .fill').getBoundingClientRect().width";
            assert!(browser.value(width).as_f64().is_some_and(|width| width > 500.0), "{place}");
            let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.value(wide), json!(0), "{place} goes beyond the screen");
            assert_eq!(browser.value("performance.getEntriesByType('resource').length"), json!(0), "{place}");
        }
    }
}
