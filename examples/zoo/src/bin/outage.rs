//! Healthy only: from the 18th second to the 38th the payment service is away. Requests keep their bodies and try again, ever
//! less often, for as long as 8 s; of more than 150 that wait the next are turned away. Then all is as before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

struct Payments {
    since: Instant,
    room: Semaphore,
}

impl Payments {
    async fn ask(&self, body: &[u8]) -> Result<usize, &'static str> {
        sleep(Duration::from_millis(12)).await;
        let is_away = (18..38).contains(&self.since.elapsed().as_secs());
        if is_away { Err("connection refused") } else { Ok(body.len()) }
    }

    async fn insist(&self, body: &[u8]) -> usize {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.ask(body).await {
                Ok(answer) => return answer,
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

async fn request(payments: Arc<Payments>, n: u64) -> Result<usize, &'static str> {
    let Ok(_room) = payments.room.try_acquire() else { return Err("try again later") };
    let body = vec![n as u8; 60_000];
    timeout(Duration::from_secs(8), payments.insist(&body)).await.map_err(|_| "payments are away")
}

#[tokio::main]
async fn main() {
    zoo::start();
    let payments = Arc::new(Payments { since: Instant::now(), room: Semaphore::new(150) });
    zoo::every(25, |n| {
        diag::spawn(request(payments.clone(), n));
    })
    .await;
}
