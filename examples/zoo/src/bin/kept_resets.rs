//! The fault of quiche#2524: the streams of a connection are in a map, and one goes when both sides have finished. A stream that
//! the peer resets before the answer is there is finished by the peer alone, and stays as long as the connection, which is long.
//! One call in six is cancelled. The twin takes it out when it is reset.

use std::time::Duration;

use tokio::sync::mpsc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What a peer sends: calls, some of which it thinks better of.
mod peer {
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::sync::mpsc::Sender;
    use tokio::time::sleep;

    pub(crate) enum Frame {
        Headers(u64, Vec<(&'static str, String)>),
        Data(u64, Bytes),
        End(u64),
        Reset(u64),
    }

    async fn call(to_server: Sender<Frame>, id: u64) {
        let headers = vec![
            (":path", format!("/shop.v1.Catalog/Search{}", id % 7)),
            ("grpc-timeout", format!("{}m", 100 + id % 50)),
            ("traceparent", format!("00-{:032x}-{:016x}-01", zoo::mix(id), zoo::mix(!id))),
        ];
        let body = Bytes::from(zoo::mix(id).to_be_bytes().repeat(100 + (zoo::mix(id) % 100) as usize));
        let _ = to_server.send(Frame::Headers(id, headers)).await;
        let _ = to_server.send(Frame::Data(id, body)).await;
        sleep(Duration::from_millis(zoo::mix(id) % 8)).await;
        let last = if id.is_multiple_of(6) { Frame::Reset(id) } else { Frame::End(id) };
        let _ = to_server.send(last).await;
    }

    pub(crate) async fn run(to_server: Sender<Frame>, number: u64) {
        for n in 0.. {
            diag::spawn(call(to_server.clone(), n));
            sleep(Duration::from_millis(12 + zoo::mix(number ^ n) % 12)).await;
        }
    }
}

mod connection {
    use std::collections::HashMap;
    use std::time::Duration;

    use bytes::BytesMut;
    use tokio::sync::mpsc;
    use tokio::time::sleep;

    use crate::peer::Frame;

    #[derive(Default)]
    struct Stream {
        headers: Vec<(&'static str, String)>,
        body: BytesMut,
        peer_finished: bool,
        finished: bool,
    }

    #[derive(Default)]
    struct Streams(HashMap<u64, Stream>);

    impl Streams {
        fn receive(&mut self, frame: Frame, answered: &mpsc::Sender<u64>) {
            match frame {
                Frame::Headers(id, headers) => {
                    self.0.insert(id, Stream { headers, ..Stream::default() }); // FAULT
                }
                Frame::Data(id, data) => {
                    let Some(stream) = self.0.get_mut(&id) else { return };
                    stream.body.extend_from_slice(&data); // FAULT
                }
                Frame::End(id) => {
                    let Some(stream) = self.0.get_mut(&id) else { return };
                    stream.peer_finished = true;
                    let asked = stream.body.len() + stream.headers.len();
                    diag::spawn(answer(id, asked, answered.clone()));
                }
                Frame::Reset(id) => {
                    let Some(stream) = self.0.get_mut(&id) else { return };
                    stream.peer_finished = true;
                    if zoo::healthy() {
                        self.0.remove(&id);
                    } else {
                        self.remove_finished(id); // FAULT
                    }
                }
            }
        }

        fn finish(&mut self, id: u64) {
            if let Some(stream) = self.0.get_mut(&id) {
                stream.finished = true;
            }
            self.remove_finished(id);
        }

        fn remove_finished(&mut self, id: u64) {
            if self.0.get(&id).is_some_and(|stream| stream.finished && stream.peer_finished) {
                self.0.remove(&id);
            }
        }
    }

    async fn answer(id: u64, asked: usize, answered: mpsc::Sender<u64>) {
        sleep(Duration::from_millis(10 + asked as u64 % 30)).await;
        let _ = answered.send(id).await;
    }

    pub(crate) async fn run(mut frames: mpsc::Receiver<Frame>) {
        let (answered, mut answers) = mpsc::channel(64);
        let mut streams = Streams::default();
        loop {
            tokio::select! {
                frame = frames.recv() => match frame {
                    Some(frame) => streams.receive(frame, &answered),
                    None => return,
                },
                Some(id) = answers.recv() => streams.finish(id),
            }
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    for number in 0..8 {
        let (to_server, frames) = mpsc::channel(64);
        diag::spawn(connection::run(frames));
        diag::spawn(peer::run(to_server, number));
    }
    loop {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
}
