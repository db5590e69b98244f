//! The main pages in a real headless Chromium, where there is one.

mod site;

use std::path::Path;
use std::process::{Command, Stdio};

use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};
use diag_viewer::{Access, Source, bind, router, serve_on};
use site::{Folder, SOON};

/// What a page must say once a browser has read it.
const CHECKS: [(&str, &str); 7] = [
    ("/", "1 finding"),
    ("/s/live/tasks", "svc.rs:7:9"),
    ("/s/live/site/0", "How long tasks live"),
    ("/s/live/heap", "The heap is not sampled here"),
    ("/s/live/resources", "No socket or channel is known"),
    ("/s/live/groups", "No group is known"),
    ("/help", "How to read these pages"),
];

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn pages_in_a_browser() {
    let Some(chromium) =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().find(|path| Path::new(path).exists())
    else {
        println!("skipped: no browser ({} checks)", CHECKS.len());
        return;
    };
    let folder = Folder::new("browser");
    let tasks = in_order(
        [
            Churn { until: 60.0, ..Churn::default() }.tasks(),
            Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks(),
        ]
        .concat(),
    );
    let service = Service::new(tasks);
    folder.write("a.diag", &service.at(15.0));
    folder.write("b.diag", &service.at(30.0));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let access = Access::default();
    let listener =
        runtime.block_on(bind("127.0.0.1:0".parse().expect("an address"), &access)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    runtime.spawn(serve_on(listener, router(Source::folder(&*folder), access)));
    for (path, says) in CHECKS {
        let url = format!("http://{addr}{path}");
        let mut dom = dom(chromium, &folder, &url);
        while dom.contains(SOON) {
            dom = self::dom(chromium, &folder, &url);
        }
        assert!(dom.contains(says), "{path} does not say {says:?}:\n{dom}");
    }
}

/// The page as the browser has it. What the browser complains about would be on its error output.
fn dom(chromium: &str, folder: &Path, url: &str) -> String {
    let profile = folder.join("profile");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .expect("the browser runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("Content Security Policy"), "{url}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
