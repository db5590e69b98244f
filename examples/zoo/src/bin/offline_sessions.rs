//! The fault of aedes#1087 and mosquitto#711: a broker keeps what comes for a subscriber that is away, until it is there again, and
//! some never come again. Messages are shared by all subscribers and small, those who are there take them at once, and of 60
//! sessions seven are left. The twin keeps the newest 400 of each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod broker {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use tokio::sync::mpsc;

    const NEWEST: usize = 400;

    #[derive(Default)]
    struct Session {
        /// Where the client is, if it is there.
        client: Option<mpsc::Sender<Bytes>>,
        queue: VecDeque<Bytes>,
    }

    #[derive(Default)]
    pub(crate) struct Broker {
        sessions: Vec<Session>,
    }

    impl Broker {
        pub(crate) fn new(sessions: usize) -> Self {
            Broker { sessions: (0..sessions).map(|_| Session::default()).collect() }
        }

        /// A client comes, or comes again, and is given what it missed.
        pub(crate) fn connect(&mut self, number: usize) -> (Vec<Bytes>, mpsc::Receiver<Bytes>) {
            let (client, messages) = mpsc::channel(64);
            self.sessions[number].client = Some(client);
            (self.sessions[number].queue.drain(..).collect(), messages)
        }

        /// Hands a message to all who want it.
        pub(crate) fn publish(&mut self, topic: usize, payload: &[u8]) {
            let message = Bytes::copy_from_slice(payload); // FAULT
            for session in self.sessions.iter_mut().skip(topic % 3).step_by(3) {
                let sent =
                    session.client.as_ref().is_some_and(|client| client.try_send(message.clone()).is_ok());
                if !sent {
                    session.client = None;
                    session.queue.push_back(message.clone()); // FAULT
                    if zoo::healthy() && session.queue.len() > NEWEST {
                        session.queue.pop_front();
                    }
                }
            }
        }

        pub(crate) fn queued(&self) -> usize {
            self.sessions.iter().map(|session| session.queue.len()).sum()
        }
    }
}

type Shared = Arc<Mutex<broker::Broker>>;

/// A client that is there for some seconds, away for one, and so on; one in eight is one day away for good.
async fn client(broker: Shared, number: usize) -> usize {
    let mut bytes = 0;
    for day in 0.. {
        let (missed, mut messages) = broker.lock().unwrap().connect(number);
        bytes += missed.iter().map(bytes::Bytes::len).sum::<usize>();
        let connected = 2_000 + zoo::mix((number + day) as u64) % 4_000;
        let until = tokio::time::Instant::now() + Duration::from_millis(connected);
        while let Ok(Some(message)) = tokio::time::timeout_at(until, messages.recv()).await {
            bytes += message.len();
        }
        if number % 8 == 4 && day >= 1 {
            return bytes;
        }
        drop(messages);
        sleep(Duration::from_secs(1)).await;
    }
    bytes
}

async fn publisher(broker: Shared, topic: usize) {
    for n in 0.. {
        let reading = format!("{{\"sensor\":{topic},\"n\":{n},\"values\":{:?}}}", [zoo::mix(n); 30]);
        {
            let mut broker = broker.lock().unwrap();
            broker.publish(topic, reading.as_bytes()); // FAULT
            zoo::set_held(broker.queued() * 700);
        }
        sleep(Duration::from_millis(20 + zoo::mix(n) % 20)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let broker = Arc::new(Mutex::new(broker::Broker::new(60)));
    for number in 0..60 {
        diag::spawn(client(broker.clone(), number));
    }
    for topic in 1..6 {
        diag::spawn(publisher(broker.clone(), topic));
    }
    publisher(broker, 0).await;
}
