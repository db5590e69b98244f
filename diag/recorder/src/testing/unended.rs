//! Tests that the process does not let end: something in one of them calls `exit`, and the harness never hears of it. Whatever code it
//! gives is that of all tests, and nothing is dropped, guards among it.

use std::io::Write as _;

use super::tasks::Sites;
use crate::fork::Once;
use crate::own_thread::OwnThread;
use crate::sys;
use crate::task::lineage;

/// Looks at the exit of this process whether a guard is still there.
pub(super) fn watch() {
    static WATCHED: Once<bool> = Once::new();
    WATCHED.get_or_init(|| sys::at_exit(at_exit));
}

extern "C" fn at_exit() {
    // On a thread that has its thread-local values.
    let said = std::thread::spawn(|| {
        let _own = OwnThread::here();
        let unended = unended();
        unended.iter().for_each(|test| drop(std::io::stderr().write_all(said(test).as_bytes())));
        !unended.is_empty()
    });
    if said.join().unwrap_or(false) {
        sys::exit_at_once(super::FAILED);
    }
}

/// Where the guards were made that are still there.
fn unended() -> Vec<String> {
    let sites = Sites::all();
    let site = |root| sites.of(root).map(|site| site.location.to_string());
    lineage::roots().into_iter().filter_map(site).collect()
}

fn said(test: &str) -> String {
    format!(
        "\nthe process exits before the test with the leak guard of {test} has ended: nothing of it is dropped, and the guard has not \
         looked\n  next: return from the test in place of `exit`, or have it in a process of its own; a guard that was forgotten \
         looks the same\n"
    )
}
