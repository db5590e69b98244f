//! The kind of fault of which tokio#5777 and tokio#7923 speak: `spawn_blocking` for what never ends. Each container that is
//! followed takes a thread of the blocking pool for as long as it lives, and with the sixteenth there is none left: files that
//! tokio reads, by the same pool, wait for ever. In the twin those who follow have threads of their own.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The logs of containers.
mod logs {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    #[derive(Default)]
    pub(crate) struct Seen(AtomicU64);

    impl Seen {
        /// Follows a log until its container ends.
        fn follow(&self, lines: &Receiver<String>) {
            while let Ok(line) = lines.recv() {
                // FAULT
                self.0.fetch_add(line.len() as u64, Relaxed);
            }
        }

        pub(crate) fn bytes(&self) -> u64 {
            self.0.load(Relaxed)
        }
    }

    /// Begins to follow a container, which says something five times a second.
    pub(crate) fn start(seen: &Arc<Seen>, container: u64) {
        let (to_log, lines) = channel();
        diag::spawn(async move {
            for n in 0.. {
                if to_log.send(format!("container {container} line {n}")).is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        let seen = seen.clone();
        if zoo::healthy() {
            std::thread::spawn(move || seen.follow(&lines));
        } else {
            diag::task::spawn_blocking(move || seen.follow(&lines)); // FAULT
        }
    }
}

/// The status page.
async fn request(n: u64) -> usize {
    let status = tokio::fs::read("/proc/self/status").await; // FAULT
    format!("{n}: {:?}", status.map(|status| status.len())).len()
}

async fn agent() {
    let seen = std::sync::Arc::<logs::Seen>::default();
    zoo::every(150, |n| {
        if n < 20 {
            logs::start(&seen, n);
        }
        diag::spawn(request(n ^ seen.bytes())); // FAULT
    })
    .await;
}

fn main() {
    zoo::start();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime =
        builder.worker_threads(2).max_blocking_threads(16).thread_keep_alive(Duration::from_secs(3));
    runtime.enable_all().build().expect("a runtime").block_on(agent());
}
