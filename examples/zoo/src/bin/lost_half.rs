//! The fault of mofa#964: each client of a websocket hub has a task that reads and one that writes; whichever ends first ends
//! `select!`, which lets go of the handle of the other, and that one goes on. When a client leaves, the one that writes waits
//! for what is to be written, which the hub sends to the client's own topic, and nobody ever does again: the hub forgets a topic's
//! listener when it cannot send to it. The twin aborts the other.

use std::net::SocketAddr;
use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Clients: each says some things, hears what there is to hear, and leaves after a second or two.
mod world {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, Result};
    use tokio::net::TcpStream;
    use tokio::time::sleep;

    async fn client(hub: SocketAddr, n: u64) -> Result<()> {
        let mut socket = TcpStream::connect(hub).await?;
        for word in 0..5 + zoo::mix(n) % 6 {
            socket.write_u64(word).await?;
            socket.read_u64().await?;
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    pub(crate) async fn run(hub: SocketAddr) {
        for n in 0.. {
            sleep(Duration::from_millis(160)).await;
            tokio::spawn(client(hub, n));
        }
    }
}

mod hub {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    use tokio::sync::mpsc;

    #[derive(Default)]
    pub(crate) struct Hub {
        topics: Mutex<HashMap<u64, Vec<mpsc::Sender<u64>>>>,
    }

    impl Hub {
        fn listen(&self, topic: u64) -> mpsc::Receiver<u64> {
            let (to_client, words) = mpsc::channel(16);
            self.topics.lock().unwrap().entry(topic).or_default().push(to_client);
            words
        }

        /// Sends to all who listen, and forgets those who do not any more.
        fn say(&self, topic: u64, word: u64) {
            let mut topics = self.topics.lock().unwrap();
            if let Some(listeners) = topics.get_mut(&topic) {
                listeners.retain(|listener| {
                    !matches!(listener.try_send(word), Err(mpsc::error::TrySendError::Closed(_)))
                });
            }
        }

        async fn read(self: Arc<Self>, mut socket: OwnedReadHalf, topic: u64) {
            while let Ok(word) = socket.read_u64().await {
                self.say(topic, word);
            }
        }
    }

    async fn write(mut socket: OwnedWriteHalf, mut words: mpsc::Receiver<u64>) {
        while let Some(word) = words.recv().await {
            // FAULT
            if socket.write_u64(word).await.is_err() {
                break;
            }
        }
    }

    pub(crate) async fn serve(hub: Arc<Hub>, socket: TcpStream, client: u64) {
        let (from_client, to_client) = socket.into_split();
        let words = hub.listen(client);
        let mut read = diag::spawn(hub.clone().read(from_client, client));
        let mut write = diag::spawn(write(to_client, words)); // FAULT
        tokio::select! {
            _ = &mut read => {}
            _ = &mut write => {}
        }
        // FAULT
        if zoo::healthy() {
            read.abort();
            write.abort();
            hub.topics.lock().unwrap().remove(&client);
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    zoo::outside(move |tell| async move {
        tell.send(()).unwrap();
        world::run(address).await;
    });
    let hub = Arc::<hub::Hub>::default();
    for client in 0.. {
        let Ok((socket, _)) = listener.accept().await else { break };
        diag::spawn(hub::serve(hub.clone(), socket, client));
    }
}
