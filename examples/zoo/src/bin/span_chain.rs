//! The fault of pandoras_pot#52: each new span becomes a child of the one before, because it is made while that one is entered.
//! Here a feed is polled by a task that starts the next, in a span of its own. A span keeps its parent, and so the newest of a
//! feed keeps all that there were. The twin says that it has no parent.

use std::time::Duration;

use tracing::{Instrument, info_span};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod feed {
    use std::time::Duration;

    pub(crate) struct Feed {
        pub(crate) id: u64,
        pub(crate) round: u64,
        pub(crate) etag: String,
    }

    impl Feed {
        pub(crate) fn new(id: u64) -> Self {
            Feed { id, round: 0, etag: String::new() }
        }

        /// Asks for what is new.
        pub(crate) async fn fetch(&mut self) -> Vec<u8> {
            tokio::time::sleep(Duration::from_millis(20 + zoo::mix(self.id ^ self.round) % 30)).await;
            self.round += 1;
            self.etag = format!("W/\"{:016x}\"", zoo::mix(self.round));
            vec![b'<'; 4_000]
        }
    }
}

/// Polls a feed now, and again in a while.
fn poll(mut feed: feed::Feed) {
    let span = if zoo::healthy() {
        info_span!(parent: None, "poll", feed = feed.id, round = feed.round, etag = %feed.etag)
    } else {
        info_span!("poll", feed = feed.id, round = feed.round, etag = %feed.etag) // FAULT
    };
    let task = async move {
        let items = feed.fetch().await;
        if items.is_empty() {
            tracing::warn!("nothing new");
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
        poll(feed); // FAULT
    };
    diag::spawn(task.instrument(span)); // FAULT
}

#[tokio::main]
async fn main() {
    zoo::start();
    tracing_subscriber::fmt().with_writer(std::io::sink).init();
    for id in 0..60 {
        poll(feed::Feed::new(id));
    }
    zoo::every(20, |n| {
        diag::spawn(async move { format!("{n:>3000}").len() });
    })
    .await;
}
