//! How pages look, as far as it can be measured: in both widths and themes, with many findings, and how soon there is something to see.

mod chromium;
mod page;
mod site;

use std::path::{Path, PathBuf};

use axum::Router;
use chromium::{Browser, installed};
use diag_test_support::crowd::crowd;
use diag_viewer::{Access, Source, bind, router, serve_on};
use page::walk;
use serde_json::{Value, json};
use site::{Folder, Viewer};
use tokio::runtime::Runtime;

/// Text that is too small, and tables whose rows lose their name when they are scrolled.
const LOOK: &str = "(() => { const wrong = []; \
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth; \
    if (wide > 0) wrong.push(`the page goes ${wide} px beyond the screen`); \
    for (const element of document.querySelectorAll('body *')) { \
        const has_text = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()); \
        if (has_text && element.getClientRects().length && !element.closest('svg') && parseFloat(getComputedStyle(element).fontSize) < 12) \
            wrong.push(`${getComputedStyle(element).fontSize}: ${element.outerHTML.slice(0, 100)}`); } \
    for (const table of document.querySelectorAll('main .scroll table')) { \
        const name = table.querySelector('tbody th'), box = table.closest('.scroll'); \
        if (!name || !name.getClientRects().length) continue; \
        box.scrollLeft = box.scrollWidth; \
        const at = name.getBoundingClientRect(); \
        if (!name.textContent.trim() || at.left < 0 || at.right > innerWidth) \
            wrong.push(`${Math.round(at.left)} to ${Math.round(at.right)}: ${name.outerHTML.slice(0, 100)}`); } \
    return wrong.slice(0, 5); })()";

fn screen(browser: &mut Browser, width: u32, theme: &str) {
    let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    browser.call("Emulation.setDeviceMetricsOverride", size);
    let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
    browser.call("Emulation.setEmulatedMedia", json!({ "features": features }));
}

fn serve(runtime: &Runtime, routes: Router) -> String {
    let access = Access::default();
    let listener =
        runtime.block_on(bind("127.0.0.1:0".parse().expect("an address"), &access)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    runtime.spawn(serve_on(listener, routes));
    format!("http://{addr}")
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series").join(name)
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn all_pages_fit_and_rows_keep_their_names() {
    let Some(program) = installed() else {
        println!("skipped: no browser (all pages, 2 widths, 2 themes)");
        return;
    };
    let folder = Folder::new("looks");
    let runtime = Runtime::new().expect("a runtime");
    let mut browser = Browser::start(program, &folder.join("profile"));
    let (mut checks, mut wrong) = (0, Vec::new());
    for series in ["futurelock", "blocking_pool"] {
        let routes = router(Source::folder(recorded(series)), Access::default());
        let pages = runtime.block_on(walk(&Viewer(routes.clone()), 1));
        let address = serve(&runtime, routes);
        for (width, theme) in [(1400, "light"), (390, "light"), (390, "dark")] {
            screen(&mut browser, width, theme);
            for path in pages.keys() {
                browser.open(&format!("{address}{path}"));
                let Value::Array(found) = browser.value(LOOK) else { panic!("{path}") };
                wrong.extend(found.into_iter().map(|found| format!("{path} at {width} px: {found}")));
                checks += 1;
            }
        }
    }
    println!("{checks} pages were looked at");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    // What is wrong would be found.
    browser.value("document.querySelector('h1').style.fontSize = '11px'");
    assert!(browser.value(LOOK).to_string().contains("11px: <h1"));
}

#[test]
#[expect(clippy::print_stdout, reason = "the times are worth seeing")]
fn a_crowd_is_seen_at_once_and_its_table_on_the_first_screen() {
    let Some(program) = installed() else {
        println!("skipped: no browser (6 checks)");
        return;
    };
    let folder = Folder::new("looks-crowd");
    folder.write("crowd.diag", &crowd(100_000, 1_000, 1_000));
    let runtime = Runtime::new().expect("a runtime");
    let routes = router(Source::folder(&*folder), Access::default());
    let notices = runtime.block_on(Viewer(routes.clone()).json("/api/v1/s/live/tasks"));
    let told = notices["findings"].as_array().or(notices["notices"].as_array()).map_or(0, Vec::len);
    let address = serve(&runtime, routes);
    let mut browser = Browser::start(program, &folder.join("profile"));
    screen(&mut browser, 1400, "light");
    let mut paint = |path: &str| {
        let paints = (0..6).map(|_| {
            browser.open(&format!("{address}{path}"));
            browser.until("performance.getEntriesByName('first-contentful-paint').length");
            let paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
            browser.value(paint).as_f64().expect("a time")
        });
        // The first may have to be made.
        let mut paints: Vec<f64> = paints.skip(1).collect();
        paints.sort_by(f64::total_cmp);
        println!("{path}: first paint {:.0} ms, median of five", paints[2]);
        paints[2]
    };
    // The machine's own speed: a page that shows nothing of any snapshot.
    let help = paint("/help");
    for path in ["/s/live/tasks", "/s/live/tasks?group=state", "/s/live/site/7", "/s/live/heap", "/"] {
        let most = help + if cfg!(debug_assertions) { 800.0 } else { 200.0 };
        assert!(paint(path) < most, "{path}: more than {most:.0} ms");
    }
    browser.open(&format!("{address}/s/live/tasks"));
    let top = browser.value("document.querySelector('main table tbody tr').getBoundingClientRect().bottom");
    println!("{told} findings of one snapshot; the first row ends at {top}");
    assert!(top.as_f64().is_some_and(|top| top < 900.0), "{top}");
}
