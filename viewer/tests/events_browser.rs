//! The bar of an open page in a real headless Chromium, where there is one: it is told what is new, and moves nothing.

mod chromium;
mod site;

use std::time::{Duration, Instant};

use axum::Router;
use chromium::{Browser, installed};
use diag_test_support::agent::MockAgent;
use diag_test_support::scenario::{Service, Steady, in_order};
use diag_viewer::{Access, Source, router};
use serde_json::json;
use site::Folder;

/// Where the page stands under its reader.
const PLACE: &str = "[scrollY, document.querySelector('main').getBoundingClientRect().top].join()";

fn service() -> Service {
    Service::new(in_order(Steady { line: 7, count: 30, from: 0.0, until: 10.0, pause: 0.5 }.tasks()))
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn an_open_page_is_told_what_is_new_and_stays_where_it_is() {
    let Some(program) = installed() else {
        println!("skipped: no browser (12 checks)");
        return;
    };
    let folder = Folder::new("events-browser");
    folder.write("a.diag", &service().at(20.0));
    let agent = MockAgent::new(vec![diag_snapshot::write(&service().at(25.0))]);
    let source = Source::folder(&*folder).and(Source::parse(agent.address()).expect("an address"));
    // In a service that has the pages below a prefix.
    let app = Router::new().nest("/diag", router(source, Access::default()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let addr = listener.local_addr().expect("an address");
    runtime.spawn(async move { axum::serve(listener, app).await });
    let mut browser = Browser::start(program, &folder.join("profile"));
    for (width, page, at) in [(1400, "/diag", 30.0), (390, "/diag/s/live/tasks?group=await", 50.0)] {
        let screen = json!({ "width": width, "height": 500, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", screen);
        browser.open(&format!("http://{addr}{page}"));
        browser.value("scrollTo(0, 40)");
        // The words of the service that is gone are longer than those that stood there.
        let began = Instant::now();
        let before = browser.text(PLACE);
        browser.until("document.querySelector('.state.alarm')?.textContent.includes('nothing listens at')");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}, of which a loaded machine takes one");
        assert_eq!(browser.text(PLACE), before, "{width}: the state has moved the page");
        folder.write(&format!("{width}.diag"), &service().at(at));
        folder.write(&format!("{width}-more.diag"), &service().at(at + 10.0));
        browser.until("/^[12] newer snapshots?: show$/.test(document.querySelector('.newer').textContent)");
        assert_eq!(browser.text(PLACE), before, "{width}: what is offered has moved the page");
        browser.until("document.querySelector('.newer').textContent === '2 newer snapshots: show'");
        browser.check_clean("while it was told");
        browser.value("document.querySelector('.newer a').click()");
        browser.until("document.readyState === 'complete' && !document.querySelector('.newer a')");
        let shown = browser.text("location.pathname + location.search");
        assert_eq!(shown, page, "the page itself, with what is chosen on it");
        assert!(
            browser
                .text("document.querySelector('.newer').dataset.events")
                .starts_with("/diag/events?after=")
        );
    }
    // A page that is not in front listens to nothing.
    browser.value("Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))");
    folder.write("z.diag", &service().at(90.0));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(browser.value("document.querySelector('.newer').textContent"), json!(""));
    agent.requests();
}
