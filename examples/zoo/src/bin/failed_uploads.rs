//! An upload is kept in a table while it is checked, and the path of errors forgets to take it out: one upload in twenty fails.
//! All uploads are allocated at one line, and nearly all of them are freed there. The twin takes out those that fail, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Uploads = Arc<Mutex<HashMap<u64, Vec<u8>>>>;

const BYTES: usize = 40_000;

async fn check(id: u64) -> Result<(), String> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    if zoo::mix(id).is_multiple_of(20) { Err(format!("{id} is no image")) } else { Ok(()) }
}

async fn upload(uploads: Uploads, id: u64) -> Result<(), String> {
    let body = vec![id as u8; BYTES]; // FAULT
    uploads.lock().unwrap().insert(id, body); // FAULT
    zoo::held(BYTES as i64);
    let checked = check(id).await;
    if !zoo::healthy() {
        checked.as_ref().map_err(String::clone)?;
    }
    uploads.lock().unwrap().remove(&id);
    zoo::held(-(BYTES as i64));
    checked
}

#[tokio::main]
async fn main() {
    zoo::start();
    let uploads = Uploads::default();
    zoo::every(8, |id| {
        diag::spawn(upload(uploads.clone(), id));
    })
    .await;
}
