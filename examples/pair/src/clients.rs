//! Those who ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::desk::Desk;
use crate::session::Question;

/// So many clients come in each second, for ever.
pub(crate) async fn come(desk: Arc<Desk>, a_second: u32) {
    let mut next = interval(Duration::from_secs(1) / a_second.max(1));
    next.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for client in 0.. {
        next.tick().await;
        diag::spawn(ask(desk.open(), client));
    }
}

/// Asks for some prices and leaves.
async fn ask(session: mpsc::Sender<Question>, client: usize) {
    for number in 0..5 {
        sleep(Duration::from_millis(30)).await;
        let (answer, told) = oneshot::channel();
        let question = Question { instrument: client * 31 + number, answer };
        if session.send(question).await.is_err() || told.await.is_err() {
            return;
        }
    }
}
