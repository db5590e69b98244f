//! A dashboard, which shows the newest index of each mirror while somebody looks at it.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::Fault;
use crate::feed::Feed;

/// Shows them while it is looked at, until the program ends.
pub(crate) async fn show(feed: Feed, mut is_seen: watch::Receiver<bool>, fault: Option<Fault>) {
    let mut shown = HashMap::<String, Vec<u8>>::new();
    loop {
        let mut reports = feed.listen();
        while *is_seen.borrow_and_update() {
            tokio::select! {
                report = reports.recv() => {
                    // What it missed while it was slow is shown the next time.
                    if let Ok(report) = report { shown.insert(report.url.clone(), report.head.clone()); }
                }
                changed = is_seen.changed() => if changed.is_err() { return },
            }
        }
        // Whoever listens and does not read has all that is told kept for it.
        let _kept = (fault == Some(Fault::BroadcastLag)).then_some(reports);
        if is_seen.wait_for(|is_seen| *is_seen).await.is_err() {
            return;
        }
    }
}
