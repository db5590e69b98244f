//! The fault of which tokio#4023 speaks: an actor that sends to itself has a sender of its own channel, so that `recv` never
//! returns `None` and the actor outlives all its clients. The twin has a weak sender.

use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender, WeakSender};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// How an actor reaches itself.
enum Own {
    Strong(Sender<u64>),
    Weak(WeakSender<u64>),
}

async fn actor(mut inbox: Receiver<u64>, own: Own) -> u64 {
    let mut handled = 0;
    while let Some(message) = inbox.recv().await {
        handled += 1;
        // A long message is split, and the rest comes back through the inbox.
        if message > 100 {
            let _ = match &own {
                Own::Strong(own) => own.try_send(message - 100),
                Own::Weak(own) => own.upgrade().map_or(Ok(()), |own| own.try_send(message - 100)),
            };
        }
    } // FAULT
    handled
}

async fn session(n: u64) {
    let (to_actor, inbox) = mpsc::channel(8);
    let own = if zoo::healthy() { Own::Weak(to_actor.downgrade()) } else { Own::Strong(to_actor.clone()) };
    diag::spawn(actor(inbox, own)); // FAULT
    for part in 0..4 {
        let _ = to_actor.send(n % 300 + part).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(50, |n| {
        diag::spawn(session(n));
    })
    .await;
}
