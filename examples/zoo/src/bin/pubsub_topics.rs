//! The fault of mini-redis#63: each topic has a broadcast channel, made when somebody subscribes for the first time, and it stays
//! when the last subscriber is gone. A topic is a call of two people here, and never comes back. The twin takes it out.

use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod hub {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use tokio::sync::broadcast::{Receiver, Sender, channel};

    const BACKLOG: usize = 256;

    pub(crate) type Message = Arc<[u8]>;

    #[derive(Default)]
    pub(crate) struct Hub(Mutex<HashMap<String, Sender<Message>>>);

    impl Hub {
        pub(crate) fn subscribe(&self, topic: &str) -> Receiver<Message> {
            let mut topics = self.0.lock().unwrap();
            topics.entry(topic.to_owned()).or_insert_with(new_topic).subscribe() // FAULT
        }

        pub(crate) fn publish(&self, topic: &str, message: Message) -> usize {
            let topics = self.0.lock().unwrap();
            topics.get(topic).and_then(|topic| topic.send(message).ok()).unwrap_or_default()
        }

        /// The receiver of a subscriber that leaves.
        pub(crate) fn unsubscribe(&self, topic: &str, receiver: Receiver<Message>) {
            drop(receiver);
            if zoo::healthy() {
                self.0.lock().unwrap().retain(|name, sender| name != topic || sender.receiver_count() > 0);
            }
        }
    }

    fn new_topic() -> Sender<Message> {
        channel(BACKLOG).0 // FAULT
    }
}

mod caller {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout_at};

    use crate::hub::Hub;

    /// One of two who talk: both say something now and then, and hang up after the same time.
    pub(crate) async fn talk(hub: Arc<Hub>, call: u64, who: u64) -> usize {
        let topic = format!("call:{call:016x}");
        let mut heard = hub.subscribe(&topic);
        let hangs_up = Instant::now() + Duration::from_millis(1_000 + zoo::mix(call) % 3_000);
        let mut bytes = 0;
        while Instant::now() < hangs_up {
            sleep(Duration::from_millis(80 + 60 * who)).await;
            hub.publish(&topic, vec![who as u8; 300].into());
            while let Ok(Ok(message)) = timeout_at(Instant::now(), heard.recv()).await {
                bytes += message.len();
            }
        }
        hub.unsubscribe(&topic, heard);
        bytes
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let hub = Arc::<hub::Hub>::default();
    for call in 0.. {
        diag::spawn(caller::talk(hub.clone(), call, 0));
        diag::spawn(caller::talk(hub.clone(), call, 1));
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
}
