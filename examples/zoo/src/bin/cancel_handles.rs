//! The fault of litep2p#49, and of neon#11876: so that a request can be cancelled, its handle is in a map, by its number. Who
//! cancels takes it out, and a request that ends by itself does not. A handle keeps the memory of its task. The twin takes
//! it out in the end.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// A server for editors, to which each sends what it wants to know and what it no longer does.
mod server {
    use std::sync::Arc;
    use std::time::Duration;

    use dashmap::DashMap;
    use diag::task::AbortHandle;
    use tokio::time::sleep;

    #[derive(Default)]
    pub(crate) struct Server {
        running: DashMap<u64, AbortHandle>,
    }

    impl Server {
        pub(crate) fn request(self: &Arc<Self>, id: u64) {
            let entry = self.running.entry(id); // FAULT
            let task = diag::spawn(self.clone().answer(id)); // FAULT
            entry.insert(task.abort_handle()); // FAULT
        }

        pub(crate) fn cancel(&self, id: u64) {
            if let Some((_, task)) = self.running.remove(&id) {
                task.abort();
            }
        }

        async fn answer(self: Arc<Self>, id: u64) -> u64 {
            let symbols = complete(id).await;
            if zoo::healthy() {
                self.running.remove(&id);
            }
            zoo::set_held(self.running.len() * 1_700);
            symbols
        }
    }

    /// Looks in two indexes, one after the other.
    async fn complete(id: u64) -> u64 {
        let mut found = [0; 160];
        for (n, symbol) in found.iter_mut().enumerate() {
            *symbol = zoo::mix(id + n as u64);
            if n % 80 == 0 {
                sleep(Duration::from_millis(8 + id % 20)).await;
            }
        }
        found.iter().fold(0, |sum, symbol| sum ^ symbol)
    }
}

/// Somebody who types: fast for two seconds, then not for one.
async fn editor(server: Arc<server::Server>, number: u64) {
    for n in 0.. {
        let id = (number << 32) | n;
        server.request(id);
        tokio::time::sleep(Duration::from_millis(10)).await;
        if n % 15 == 0 {
            server.cancel(id);
        }
        if n % 200 == 199 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let server = Arc::<server::Server>::default();
    for number in 1..4 {
        diag::spawn(editor(server.clone(), number));
    }
    editor(server, 0).await;
}
