//! The fault of tracing#2334: the span of a connection lives as long as the connection, and with each message a field of it is
//! recorded anew. The layer that writes text keeps what a span had before and appends: a slow leak, in strings that a span has
//! as long as it lives. The twin says it as an event.

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod logging {
    /// Text, to nowhere.
    pub(crate) fn start() {
        tracing_subscriber::fmt().with_writer(std::io::sink).init();
    }
}

mod connection {
    use std::time::Duration;

    use tracing::field::Empty;
    use tracing::{Span, info, info_span};

    const MESSAGES_PER_S: u64 = 40;

    fn span(peer: u64) -> Span {
        info_span!("connection", peer, protocol = "mqtt", last_message = Empty)
    }

    /// Notes how far a connection is.
    fn note_progress(span: &Span, peer: u64, message: u64) {
        if zoo::healthy() {
            return info!(parent: span, number = message, "handled");
        }
        span.record("last_message", format_args!("{peer}/inbox/{message:08}")); // FAULT
        zoo::held(40);
    }

    /// Serves a peer, which stays for hours.
    pub(crate) async fn serve(peer: u64) {
        let span = span(peer);
        let mut each = tokio::time::interval(Duration::from_micros(1_000_000 / MESSAGES_PER_S));
        for message in 0.. {
            each.tick().await;
            note_progress(&span, peer, message);
        }
    }
}

async fn request(n: u64) -> usize {
    let mut page = Vec::new();
    for part in 0..10 {
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        page.extend_from_slice(&[(n + part) as u8; 2_000]);
    }
    page.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    logging::start();
    for peer in 0..60 {
        diag::spawn(connection::serve(peer));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    zoo::every(10, |n| {
        diag::spawn(request(n));
    })
    .await;
}
