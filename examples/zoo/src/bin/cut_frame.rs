//! The fault of iroh#2572 and nteract#2182: in a loop around `select!`, a frame is read by `read_exact`, and what it has read of
//! it is lost when a request comes first. The rest is taken for a frame of its own, until a request comes again. Who asked for
//! what was cut waits, without a limit. The twin keeps what it has read.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The node at the other end: it answers each request, in order, and the body comes some milliseconds after the head.
mod node {
    use std::net::SocketAddr;
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn serve(mut peer: TcpStream) {
        while let Ok(id) = peer.read_u64().await {
            let body = format!("{{\"block\":\"{:0>200}\"}}", zoo::mix(id));
            let mut frame = (body.len() as u16 + 8).to_be_bytes().to_vec();
            frame.extend(id.to_be_bytes());
            let sent = peer.write_all(&frame).await;
            let ms = if zoo::mix(id).is_multiple_of(3) { 25 } else { 2 };
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if sent.is_err() || peer.write_all(body.as_bytes()).await.is_err() {
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

/// What comes over the wire.
mod wire {
    use bytes::{Buf, Bytes, BytesMut};
    use tokio::io::{AsyncRead, AsyncReadExt, Result};

    pub(crate) struct Frames<R> {
        from: R,
        read: BytesMut,
    }

    impl<R: AsyncRead + Unpin> Frames<R> {
        pub(crate) fn new(from: R) -> Self {
            Frames { from, read: BytesMut::new() }
        }

        /// Reads an answer: of what, and what.
        pub(crate) async fn next(&mut self) -> Result<(u64, Bytes)> {
            let mut body = if zoo::healthy() { self.resume().await? } else { self.read().await? }; // FAULT
            if body.len() < 8 {
                return Ok((0, body));
            }
            Ok((body.get_u64(), body))
        }

        async fn read(&mut self) -> Result<Bytes> {
            let len = self.from.read_u16().await?;
            let mut body = vec![0; len.into()];
            self.from.read_exact(&mut body).await?; // FAULT
            Ok(body.into())
        }

        /// Goes on where it was when it was last asked.
        async fn resume(&mut self) -> Result<Bytes> {
            loop {
                if self.read.len() >= 2 {
                    let len = usize::from(u16::from_be_bytes([self.read[0], self.read[1]]));
                    if self.read.len() >= 2 + len {
                        self.read.advance(2);
                        return Ok(self.read.split_to(len).freeze());
                    }
                }
                if self.from.read_buf(&mut self.read).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

mod connection {
    use std::collections::HashMap;

    use bytes::Bytes;
    use tokio::io::{AsyncWriteExt, Result};
    use tokio::net::TcpStream;
    use tokio::sync::{mpsc, oneshot};

    use crate::wire::Frames;

    pub(crate) type Request = (u64, oneshot::Sender<Bytes>);

    /// Runs a connection: writes what is asked, reads what is answered.
    pub(crate) async fn run(mut socket: TcpStream, mut requests: mpsc::Receiver<Request>) -> Result<()> {
        let (read, mut write) = socket.split();
        let mut frames = Frames::new(read);
        let mut waiting = HashMap::new();
        loop {
            tokio::select! {
                frame = frames.next() => { // FAULT
                    let (id, body) = frame?;
                    if let Some(reply) = waiting.remove(&id) {
                        let _: std::result::Result<(), Bytes> = oneshot::Sender::send(reply, body);
                    }
                }
                Some((id, reply)) = requests.recv() => {
                    waiting.insert(id, reply);
                    write.write_u64(id).await?;
                }
            }
        }
    }
}

async fn fetch(node: mpsc::Sender<connection::Request>, id: u64) -> Option<usize> {
    let (reply, answer) = oneshot::channel();
    node.send((id, reply)).await.ok()?;
    Some(answer.await.ok()?.len()) // FAULT
}

#[tokio::main]
async fn main() {
    zoo::start();
    let address = zoo::outside(node::run);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let socket = tokio::net::TcpStream::connect(address).await.expect("the node listens");
        let (node, requests) = mpsc::channel(8);
        diag::spawn(connection::run(socket, requests));
        nodes.push(node);
    }
    for id in 1.. {
        let node = &nodes[(zoo::mix(id) >> 8) as usize % 3];
        diag::spawn(fetch(node.clone(), id)); // FAULT
        tokio::time::sleep(Duration::from_millis(5 + zoo::mix(id) % 60)).await;
    }
}
