//! Whatever has a row is reached by the keyboard alone, in a few steps from the top of any page.

mod chromium;
mod site;

use chromium::{Browser, installed};
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};
use diag_viewer::{Access, Source, bind, router, serve_on};
use serde_json::json;
use site::Folder;

const MOST_TABS: usize = 10;

const FOCUSED: &str = "document.activeElement";

/// Presses Tab until an expression is true of what has the focus, and counts.
fn tab_to(browser: &mut Browser, what: &str) -> usize {
    for tabs in 1..=MOST_TABS {
        browser.press("Tab");
        if browser.value(&format!("Boolean({what})")) == json!(true) {
            return tabs;
        }
    }
    let at = browser.text(&format!("{FOCUSED}.outerHTML"));
    panic!("{what}: not within {MOST_TABS} tabs, the last is at {at}")
}

/// From the top of a page to the link of a row that has this name, by the search on top of the page.
fn tabs_to(browser: &mut Browser, url: &str, name: &str, link: &str) -> usize {
    browser.open(url);
    let to_search = tab_to(browser, &format!("{FOCUSED}.matches('.find input')"));
    browser.write(name);
    browser.press("Enter");
    browser.until("location.pathname === '/q' && document.readyState === 'complete'");
    // The browser gives its field the focus a moment later.
    browser.until(&format!("{FOCUSED}.matches('main input')"));
    let to_row = tab_to(browser, &format!("{FOCUSED}.getAttribute('href')?.includes('{link}')"));
    browser.press("Enter");
    browser.until(&format!("location.href.includes('{link}') && document.readyState === 'complete'"));
    to_search + to_row
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made must be seen")]
fn any_row_is_within_ten_tabs() {
    let Some(program) = installed() else {
        println!("skipped: no browser (15 checks)");
        return;
    };
    let folder = Folder::new("keyboard");
    let mut tasks = Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks();
    for line in 100..300 {
        tasks.extend(Churn { line, until: 60.0, ..Churn::default() }.tasks().into_iter().take(40));
    }
    let service = Service::new(in_order(tasks));
    let a = folder.write("a.diag", &service.at(15.0));
    let snapshot = service.at(30.0);
    let b = folder.write("b.diag", &snapshot);
    let ghosts: Vec<u64> = snapshot.tasks.iter().map(|task| task.id.0).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let access = Access::default();
    let listener =
        runtime.block_on(bind("127.0.0.1:0".parse().expect("an address"), &access)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    runtime.spawn(serve_on(listener, router(Source::folder(&*folder), access)));
    let mut browser = Browser::start(program, &folder.join("profile"));
    let mut most = 0;
    for path in [
        "/".to_owned(),
        format!("/s/{b}/tasks"),
        format!("/s/{b}/site/0"),
        format!("/d/{a}..{b}"),
        format!("/s/{b}/groups"),
    ] {
        let url = format!("http://{addr}{path}");
        for line in [100, 299] {
            most = most.max(tabs_to(&mut browser, &url, &format!("svc.rs:{line}:"), "/site/"));
            let location = browser.text("document.querySelector('h1').textContent");
            assert!(location.contains(&format!("svc.rs:{line}:")), "{location}");
        }
        let task = ghosts[ghosts.len() / 2].to_string();
        most = most.max(tabs_to(&mut browser, &url, &task, &format!("/task/{task}")));
        browser.check_clean(&path);
    }
    println!("{most} tabs at most");
    // The skip link is the first stop of a page and leads past its top.
    browser.open(&format!("http://{addr}/s/{b}/tasks"));
    assert_eq!(tab_to(&mut browser, &format!("{FOCUSED}.matches('.skip')")), 1);
    browser.press("Enter");
    browser.press("Tab");
    assert_eq!(browser.value(&format!("Boolean({FOCUSED}.closest('main'))")), json!(true));
}
