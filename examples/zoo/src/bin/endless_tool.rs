//! The fault of open-agent-sdk-rust#7: the client of a model's server is behind a lock, which who reads the answer keeps while it
//! waits for the next piece. When the model is at a tool that takes for ever, the only thing that ends it is an interruption, and
//! who wants to interrupt waits for the lock. The twin interrupts through a half of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The model's server: a word every 15 ms; with one question of eleven it begins something that only an interruption ends.
mod model {
    use std::net::SocketAddr;
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, Result};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::sleep;

    async fn answer(mut peer: TcpStream) -> Result<()> {
        let question = peer.read_u64().await?;
        for word in 0..20 {
            if word == 8 && question % 11 == 10 {
                peer.read_u64().await?;
                break;
            }
            peer.write_u64(zoo::mix(question + word) | 1).await?;
            sleep(Duration::from_millis(15)).await;
        }
        peer.write_u64(0).await
    }

    pub(crate) async fn run(tell: Sender<SocketAddr>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(peer));
        }
    }
}

mod client {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, Result};
    use tokio::net::TcpStream;
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

    pub(crate) struct Client {
        read: OwnedReadHalf,
        write: Option<OwnedWriteHalf>,
    }

    impl Client {
        /// Connects and asks.
        pub(crate) async fn ask(model: SocketAddr, question: u64) -> Result<Self> {
            let (read, mut write) = TcpStream::connect(model).await?.into_split();
            write.write_u64(question).await?;
            Ok(Client { read, write: Some(write) })
        }

        /// Returns the next word; none at the end.
        pub(crate) async fn receive(&mut self) -> Option<u64> {
            self.read.read_u64().await.ok().filter(|word| *word != 0) // FAULT
        }

        /// Takes the half by which an interruption can be sent.
        pub(crate) fn interrupter(&mut self) -> Option<OwnedWriteHalf> {
            self.write.take()
        }

        pub(crate) async fn interrupt(&mut self) -> Result<()> {
            let Some(write) = &mut self.write else { return Ok(()) };
            write.write_u64(1).await
        }
    }
}

/// Reads the whole answer.
async fn read(client: Arc<Mutex<client::Client>>) -> usize {
    let mut words = Vec::new();
    loop {
        let word = client.lock().await.receive().await; // FAULT
        match word {
            Some(word) => words.push(word.to_string()),
            None => return words.concat().len(),
        }
    }
}

/// Somebody who asks, and after half a second wants to do something else.
async fn chat(model: SocketAddr, question: u64) -> Option<usize> {
    let mut client = client::Client::ask(model, question).await.ok()?;
    let own = if zoo::healthy() { client.interrupter() } else { None };
    let client = Arc::new(Mutex::new(client));
    let answer = diag::spawn(read(client.clone())); // FAULT
    sleep(Duration::from_millis(500)).await;
    match own {
        Some(mut own) => tokio::io::AsyncWriteExt::write_u64(&mut own, 1).await.ok()?,
        None => client.lock().await.interrupt().await.ok()?, // FAULT
    }
    answer.await.ok()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let model = zoo::outside(model::run);
    zoo::every(70, |n| {
        diag::spawn(chat(model, n)); // FAULT
    })
    .await;
}
