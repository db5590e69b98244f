//! All pages pass axe, a third party's rules of accessibility, in both themes, with the policy of the pages in force.
//!
//! Its script is no part of this repository: `DIAG_AXE` says where `axe.min.js` lies. Without it, or without a browser, these checks
//! are skipped, and counted.

mod chromium;
mod page;
mod site;

use std::path::Path;

use chromium::{Browser, installed};
use diag_viewer::{Access, Source, bind, router, serve_on};
use page::walk;
use serde_json::{Value, json};
use site::{Folder, Viewer, leaking};

/// What axe says is wrong: its rule, what it is about, and where.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations.map(violation => \
     `${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`))";

/// Loads a page with axe in it, and returns what axe says.
fn violations(browser: &mut Browser, url: &str, theme: &str, axe: &str) -> Vec<String> {
    let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
    browser.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    browser.open(url);
    if browser.value("Boolean(document.querySelector('.flame .flame-picture, .flame svg'))") == json!(true) {
        browser.until("document.querySelector('.flame').dataset.ready || !document.querySelector('script')");
    }
    browser.call("Runtime.evaluate", json!({ "expression": axe }));
    let Value::Array(found) = browser.value(RUN) else { panic!("{url}: axe did not run") };
    browser.check_clean(url);
    found.iter().map(|violation| violation.as_str().unwrap_or("?").to_owned()).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn all_pages_pass_in_both_themes() {
    let (Some(program), Some(axe)) = (installed(), std::env::var_os("DIAG_AXE")) else {
        println!("skipped: no browser, or no DIAG_AXE (all pages, 2 themes)");
        return;
    };
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|error| panic!("DIAG_AXE: {error}"));
    let folder = Folder::new("axe");
    for (name, now) in [("a.diag", 15.0), ("b.diag", 30.0)] {
        folder.write(name, &leaking().at(now));
    }
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series/futurelock");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut browser = Browser::start(program, &folder.join("profile"));
    let (mut checks, mut wrong) = (0, Vec::new());
    for source in [&*folder, &recorded] {
        let routes = router(Source::folder(source), Access::default());
        let pages = runtime.block_on(walk(&Viewer(routes.clone()), 1));
        let access = Access::default();
        let listener = bind("127.0.0.1:0".parse().expect("an address"), &access);
        let listener = runtime.block_on(listener).expect("a port");
        let addr = listener.local_addr().expect("an address");
        runtime.spawn(serve_on(listener, routes));
        let absent = ["/nothing/here", "/s/live/tasks?sort=foo"];
        for path in pages.keys().map(String::as_str).chain(absent) {
            for theme in ["light", "dark"] {
                let found = violations(&mut browser, &format!("http://{addr}{path}"), theme, &axe);
                // Who asks for a page every five seconds can have it, and can stop it.
                let is_asked = |found: &&String| path.contains("every=") && found.starts_with("meta-refresh");
                let found = found.iter().filter(|found| !is_asked(found));
                wrong.extend(found.map(|violation| format!("{path} ({theme}): {violation}")));
                checks += 1;
            }
        }
    }
    println!("{checks} pages were checked");
    assert!(checks > 60, "{checks}");
    assert!(wrong.is_empty(), "{} violations:\n{}", wrong.len(), wrong.join("\n"));
    // What is wrong would be found.
    browser.value("{ const image = document.createElement('img'); image.src = '/a/icon.svg'; document.querySelector('main').append(image); }");
    let found = browser.value(RUN).to_string();
    assert!(found.contains("image-alt"), "{found}");
}
