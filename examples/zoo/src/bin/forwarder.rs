//! The fault of agentgateway#1536: each session has a task that forwards the events of its upstream, and that task ends only
//! with the upstream, which all sessions share and which stays. It is told by each send that the session is gone, and does not
//! listen. The twin ends then.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The upstream, to which there is one connection.
mod upstream {
    use std::sync::Arc;

    use tokio::sync::broadcast;

    #[derive(Clone, Debug)]
    pub(crate) struct Event(pub(crate) Arc<str>);

    #[derive(Clone)]
    pub(crate) struct Upstream(broadcast::Sender<Event>);

    impl Upstream {
        /// Connects; something happens there now and then.
        pub(crate) fn connect() -> Self {
            let events = broadcast::channel(64).0;
            diag::spawn(listen(events.clone()));
            Upstream(events)
        }

        pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
            self.0.subscribe()
        }
    }

    async fn listen(events: broadcast::Sender<Event>) {
        zoo::every(900, |n| {
            let _ = events.send(Event(format!("event: tools/list_changed\ndata: {n}\n\n").into()));
        })
        .await;
    }
}

/// What a client has with us.
mod session {
    use std::time::Duration;

    use tokio::sync::{broadcast, mpsc};
    use tokio::time::{Instant, timeout_at};

    use crate::upstream::{Event, Upstream};

    /// Serves a client until it hangs up.
    pub(crate) async fn serve(upstream: Upstream, id: u64) -> usize {
        let mut events = open(&upstream);
        let hangs_up = Instant::now() + Duration::from_millis(500 + zoo::mix(id) % 3_000);
        let mut bytes = 0;
        while let Ok(Some(Event(text))) = timeout_at(hangs_up, events.recv()).await {
            bytes += text.len();
        }
        bytes
    }

    fn open(upstream: &Upstream) -> mpsc::Receiver<Event> {
        let (to_client, events) = mpsc::channel(32);
        diag::spawn(forward(upstream.subscribe(), to_client)); // FAULT
        events
    }

    async fn forward(mut from: broadcast::Receiver<Event>, to_client: mpsc::Sender<Event>) {
        // FAULT
        while let Ok(event) = from.recv().await {
            // FAULT
            let gone = to_client.send(event).await.is_err(); // FAULT
            if gone && zoo::healthy() {
                break;
            }
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let upstream = upstream::Upstream::connect();
    for id in 0.. {
        diag::spawn(session::serve(upstream.clone(), id));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
