//! The fault of breez/spark-sdk#540: who listens to a broadcast takes every error of `recv` for its end, and having missed some
//! is one. Here it is the janitor, which takes out the entries of sessions that ended: after the first wave of sessions that
//! end at once it is gone, and the entries stay. The twin goes on, and looks at all entries when it has missed some.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Who is online.
mod presence {
    use std::sync::{Arc, Weak};

    use dashmap::DashMap;
    use tokio::sync::broadcast;

    pub(crate) struct Entry {
        pub(crate) online: Weak<()>,
        _name: String,
        _devices: Vec<[u64; 8]>,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Left(pub(crate) u64);

    pub(crate) struct Presence {
        pub(crate) entries: DashMap<u64, Entry>,
        pub(crate) left: broadcast::Sender<Left>,
    }

    impl Presence {
        pub(crate) fn new() -> Arc<Self> {
            Arc::new(Presence { entries: DashMap::new(), left: broadcast::channel(128).0 })
        }

        pub(crate) fn join(&self, id: u64) -> Arc<()> {
            let here = Arc::new(());
            let name = format!("user-{id:0>100}"); // FAULT
            let devices = vec![[id; 8]; 12]; // FAULT
            let entry = Entry { online: Arc::downgrade(&here), _name: name, _devices: devices };
            self.entries.insert(id, entry); // FAULT
            zoo::set_held(self.entries.len() * 900);
            here
        }

        pub(crate) fn leave(&self, id: u64, here: Arc<()>) {
            drop(here);
            let _ = self.left.send(Left(id));
        }
    }
}

mod janitor {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::broadcast::Receiver;
    use tokio::sync::broadcast::error::RecvError;
    use tokio::time::sleep;

    use crate::presence::{Left, Presence};

    /// Tells the others, and takes the entry out.
    async fn remove(presence: &Presence, Left(id): Left) {
        sleep(Duration::from_millis(1)).await;
        presence.entries.remove(&id);
    }

    pub(crate) async fn run(presence: Arc<Presence>, mut left: Receiver<Left>) {
        loop {
            match left.recv().await {
                Ok(event) => remove(&presence, event).await,
                Err(RecvError::Lagged(_)) if zoo::healthy() => {
                    presence.entries.retain(|_, entry| entry.online.strong_count() > 0);
                }
                Err(_) => return, // FAULT
            }
        }
    }
}

async fn session(presence: Arc<presence::Presence>, id: u64, ms: u64) {
    let here = presence.join(id);
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    presence.leave(id, here);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let presence = presence::Presence::new();
    diag::spawn(janitor::run(presence.clone(), presence.left.subscribe()));
    let mut id = 0;
    zoo::every(10, |n| {
        // Every four seconds, a room of 500 opens and closes.
        let (wave, ms) = if n % 400 == 150 { (500, 300) } else { (3, 300 + zoo::mix(n) % 900) };
        for _ in 0..wave {
            id += 1;
            diag::spawn(session(presence.clone(), id, ms));
        }
    })
    .await;
}
