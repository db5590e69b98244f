//! What the triage page says at first sight, in a real headless Chromium, where there is one.

mod chromium;
mod site;

use std::path::Path;

use chromium::{Browser, installed};
use diag_viewer::{Access, Source, bind, router, serve_on};
use serde_json::json;
use site::Folder;

/// Where the last line of text that an expression selects ends, in pixels from the top of the page.
fn end_of(browser: &mut Browser, selector: &str) -> f64 {
    let ends = format!(
        "Math.max(...[...document.querySelectorAll('{selector}')].map(element => element.getBoundingClientRect().bottom))"
    );
    browser.value(&ends).as_f64().unwrap_or_else(|| panic!("nothing is {selector}"))
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn what_where_since_when_and_how_fast_are_seen_without_scrolling() {
    let Some(program) = installed() else {
        println!("skipped: no browser (18 checks)");
        return;
    };
    let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series/futurelock");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let access = Access::default();
    let listener =
        runtime.block_on(bind("127.0.0.1:0".parse().expect("an address"), &access)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    runtime.spawn(serve_on(listener, router(Source::folder(series), access)));
    let folder = Folder::new("triage-browser");
    let mut browser = Browser::start(program, &folder.join("profile"));
    for width in [1400, 390] {
        let screen = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", screen);
        browser.open(&format!("http://{addr}/"));
        let finding = browser.text("document.querySelector('.findings li').innerText");
        for says in [
            "2,271 tasks, 391 KiB",
            "+40.0/s",
            "since 18:31:34",
            "waits for mutex at src/bin/futurelock.rs:28",
        ] {
            assert!(finding.contains(says), "{width}: {says}: {finding}");
        }
        for (selector, before) in [(".findings li", 900.0), (".states .state", 100.0)] {
            let end = end_of(&mut browser, selector);
            assert!(end > 0.0 && end < before, "{width}: {selector} ends at {end}");
        }
        let wide =
            browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, json!(0), "{width}: the page goes beyond the screen");
        assert_eq!(browser.value("globalThis.violations.length + globalThis.failures.length"), json!(0));
    }
    // The timeline is as wide as the axis below it, and its ticks can be hit.
    assert_eq!(browser.value("document.querySelectorAll('.tick').length"), json!(6));
    browser.value("document.querySelectorAll('.tick')[1].dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }))");
    browser.until("location.search.startsWith('?from=') && document.querySelector('.tick.chosen')");
}
