//! The fault of sqlx#4349: who drops a connection starts a task that looks whether it still works and gives it back, without a
//! limit of time. When the network has silently lost the other end, which is why the query took too long in the first place,
//! the task waits for good and has the permit of the pool. After twelve of them nobody gets a connection. The twin has a limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The database, and the network before it, which loses one query in thirty and with it its connection.
mod database {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    static QUERIES: AtomicU64 = AtomicU64::new(0);

    async fn serve(mut peer: TcpStream) {
        let mut lost = false;
        while let Ok(query) = peer.read_u64().await {
            lost |= query != 0 && QUERIES.fetch_add(1, Relaxed) % 30 == 29;
            tokio::time::sleep(Duration::from_millis(5)).await;
            if !lost && peer.write_u64(query).await.is_err() {
                break;
            }
        }
    }

    pub(crate) async fn run(tell: Sender<SocketAddr>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(peer));
        }
    }
}

mod pool {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, Result};
    use tokio::net::TcpStream;
    use tokio::sync::{OwnedSemaphorePermit, Semaphore};
    use tokio::time::timeout;

    const PING: u64 = 0;

    pub(crate) struct Pool {
        server: SocketAddr,
        idle: Mutex<Vec<TcpStream>>,
        permits: Arc<Semaphore>,
    }

    /// A connection that somebody has.
    pub(crate) struct Connection {
        pool: Arc<Pool>,
        live: Option<Live>,
    }

    struct Live {
        socket: TcpStream,
        permit: OwnedSemaphorePermit,
    }

    impl Pool {
        pub(crate) fn new(server: SocketAddr, size: usize) -> Arc<Self> {
            Arc::new(Pool { server, idle: Mutex::default(), permits: Arc::new(Semaphore::new(size)) })
        }

        /// Returns a connection, or nothing after a second.
        pub(crate) async fn acquire(self: &Arc<Self>) -> Option<Connection> {
            let permit = timeout(Duration::from_secs(1), self.permits.clone().acquire_owned()).await; // FAULT
            let permit = permit.ok()?.ok()?;
            let idle = self.idle.lock().unwrap().pop();
            let socket = match idle {
                Some(socket) => socket,
                None => TcpStream::connect(self.server).await.ok()?,
            };
            Some(Connection { pool: self.clone(), live: Some(Live { socket, permit }) })
        }

        async fn take_back(self: Arc<Self>, mut live: Live) {
            let works = if zoo::healthy() {
                timeout(Duration::from_millis(500), live.ask(PING)).await.is_ok_and(|ping| ping.is_ok())
            } else {
                live.ask(PING).await.is_ok() // FAULT
            };
            if works {
                self.idle.lock().unwrap().push(live.socket);
            }
            drop(live.permit);
        }
    }

    impl Live {
        async fn ask(&mut self, query: u64) -> Result<u64> {
            self.socket.write_u64(query).await?;
            self.socket.read_u64().await // FAULT
        }
    }

    impl Connection {
        pub(crate) async fn query(&mut self, query: u64) -> Option<u64> {
            self.live.as_mut()?.ask(query).await.ok()
        }
    }

    impl Drop for Connection {
        fn drop(&mut self) {
            if let Some(live) = self.live.take() {
                diag::spawn(self.pool.clone().take_back(live)); // FAULT
            }
        }
    }
}

async fn request(pool: Arc<pool::Pool>, n: u64) -> Option<u64> {
    let mut connection = pool.acquire().await?; // FAULT
    timeout(Duration::from_millis(300), connection.query(n)).await.ok()?
}

#[tokio::main]
async fn main() {
    zoo::start();
    let pool = pool::Pool::new(zoo::outside(database::run), 12);
    zoo::every(25, |n| {
        diag::spawn(request(pool.clone(), n + 1)); // FAULT
    })
    .await;
}
