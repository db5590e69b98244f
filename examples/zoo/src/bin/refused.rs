//! The fault of sqlx#848 and linkerd2-proxy#224: a link that breaks is made anew at once, and as long as its server is down, at
//! once again. The server goes after 12 s. The twin pauses, ever longer.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The link to the server of changes.
mod link {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, Result};
    use tokio::net::TcpStream;
    use tokio::time::sleep;

    const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);

    #[derive(Default)]
    pub(crate) struct Link {
        pub(crate) version: AtomicU64,
        failed: AtomicU64,
    }

    impl Link {
        /// Follows the server for ever.
        pub(crate) async fn keep(self: Arc<Self>, server: SocketAddr) {
            let mut pause = SHORTEST_PAUSE;
            loop {
                // FAULT
                if self.follow(server).await.is_ok() {
                    // FAULT
                    pause = SHORTEST_PAUSE;
                } else {
                    self.failed.fetch_add(1, Relaxed);
                }
                if zoo::healthy() {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }

        /// Connects, and takes what comes to its end.
        async fn follow(&self, server: SocketAddr) -> Result<()> {
            let mut socket = TcpStream::connect(server).await?; // FAULT
            while let Ok(version) = socket.read_u64().await {
                self.version.store(version, Relaxed);
            }
            Ok(())
        }
    }
}

/// The server of changes, which goes after a while.
mod server {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    /// A port that the system gives to nobody who connects: else a link might one day meet itself.
    async fn listen() -> TcpListener {
        let first = 20_000 + std::process::id() as u16 % 5_000;
        for port in first..30_000 {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                return listener;
            }
        }
        panic!("no port is free");
    }

    async fn serve(listener: TcpListener) {
        loop {
            let (mut link, _) = listener.accept().await.unwrap();
            for version in 0.. {
                sleep(Duration::from_millis(50)).await;
                if link.write_u64(version).await.is_err() {
                    break;
                }
            }
        }
    }

    pub(crate) async fn run(tell: Sender<SocketAddr>) {
        let listener = listen().await;
        tell.send(listener.local_addr().unwrap()).unwrap();
        let _ = timeout(Duration::from_secs(12), serve(listener)).await;
    }
}

async fn request(link: Arc<link::Link>, n: u64) -> String {
    tokio::time::sleep(std::time::Duration::from_millis(n % 20)).await;
    format!("{n} at {}", link.version.load(std::sync::atomic::Ordering::Relaxed))
}

#[tokio::main]
async fn main() {
    zoo::start();
    let link = Arc::<link::Link>::default();
    diag::spawn(link.clone().keep(zoo::outside(server::run))); // FAULT
    zoo::every(30, |n| {
        diag::spawn(request(link.clone(), n));
    })
    .await;
}
