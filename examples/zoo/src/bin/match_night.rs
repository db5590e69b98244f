//! Healthy only: a match. From the 14th second on viewers come, ever fewer, until after 20 s there are 420, each with a stream of
//! events, a buffer and a place in the list of viewers. Nobody leaves before the end, which comes after 46 s, and then all do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, sleep_until};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod viewers {
    use std::collections::HashMap;
    use std::sync::Mutex;

    /// Who watches, and what they have seen.
    #[derive(Default)]
    pub(crate) struct Viewers(Mutex<HashMap<u64, Vec<u64>>>);

    impl Viewers {
        pub(crate) fn enter(&self, viewer: u64) {
            self.0.lock().unwrap().insert(viewer, Vec::with_capacity(64));
        }

        pub(crate) fn saw(&self, viewer: u64, event: u64) {
            if let Some(seen) = self.0.lock().unwrap().get_mut(&viewer) {
                if seen.len() == 64 {
                    seen.clear();
                }
                seen.push(event);
            }
        }

        pub(crate) fn leave(&self, viewer: u64) {
            self.0.lock().unwrap().remove(&viewer);
        }

        pub(crate) fn len(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }
}

/// Watches until the end, and leaves within five seconds.
async fn watch(
    viewers: Arc<viewers::Viewers>,
    mut events: broadcast::Receiver<u64>,
    viewer: u64,
    end: Instant,
) {
    viewers.enter(viewer);
    let mut page = vec![0_u8; 20 << 10];
    while let Ok(Ok(event)) = tokio::time::timeout_at(end, events.recv()).await {
        page[(event % 20_000) as usize] = event as u8;
        viewers.saw(viewer, event);
    }
    sleep(Duration::from_millis(zoo::mix(viewer) % 5_000)).await;
    viewers.leave(viewer);
}

/// The rest of the site.
async fn page(n: u64) -> usize {
    let rows: Vec<String> = (0..50).map(|row| format!("<li>{}</li>", zoo::mix(n + row))).collect();
    sleep(Duration::from_millis(4 + n % 20)).await;
    rows.concat().len()
}

async fn evening(viewers: Arc<viewers::Viewers>, events: broadcast::Sender<u64>) {
    let start = Instant::now();
    let end = start + Duration::from_secs(46);
    sleep_until(start + Duration::from_secs(14)).await;
    for viewer in 0..420 {
        diag::spawn(watch(viewers.clone(), events.subscribe(), viewer, end));
        sleep(Duration::from_millis(10 + viewer / 6)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let viewers = Arc::<viewers::Viewers>::default();
    let events = broadcast::Sender::new(64);
    diag::spawn(evening(viewers.clone(), events.clone()));
    let last = Mutex::new(0);
    zoo::every(25, |n| {
        diag::spawn(page(n));
        if n % 12 == 0 {
            let _ = events.send(n);
            *last.lock().unwrap() = n;
        }
        zoo::set_held(viewers.len() * (20 << 10));
    })
    .await;
}
