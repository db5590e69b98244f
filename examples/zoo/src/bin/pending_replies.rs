//! The fault of mcpls#239: a client keeps the sender of each reply by the request's id. Who waits gives up after a while, and
//! the entry stays. The twin takes it out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// A request that was sent, kept for the log of what is slow.
struct Pending {
    params: Vec<u8>,
    reply: oneshot::Sender<u64>,
}

type Requests = Arc<Mutex<HashMap<u64, Pending>>>;

/// The language server answers three of four.
fn server(requests: &Requests, id: u64) {
    if zoo::mix(id).is_multiple_of(4) {
        return;
    }
    if let Some(Pending { params, reply }) = requests.lock().unwrap().remove(&id) {
        zoo::held(-(params.len() as i64));
        let _ = reply.send(id);
    }
}

async fn request(requests: Requests, id: u64) -> Option<u64> {
    let params = vec![b'{'; 700]; // FAULT
    let (reply, answer) = oneshot::channel(); // FAULT
    zoo::held(params.len() as i64);
    requests.lock().unwrap().insert(id, Pending { params, reply }); // FAULT
    tokio::time::sleep(Duration::from_millis(2)).await;
    server(&requests, id);
    let answer = tokio::time::timeout(Duration::from_millis(300), answer).await;
    if answer.is_err() && zoo::healthy() {
        requests.lock().unwrap().remove(&id);
        zoo::held(-700);
    }
    answer.ok()?.ok()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let requests = Requests::default();
    let mut id = 0;
    zoo::pace(4_000, || {
        id += 1;
        diag::spawn(request(requests.clone(), id));
    })
    .await;
}
