//! The events of 60 tenants are kept in a vector for each, by its name in a map, and never leave it. Each vector doubles at a
//! time of its own. The twin keeps the last 500 of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Event = [u64; 24];
type Tenants = Arc<Mutex<HashMap<String, Vec<Event>>>>;

async fn event(tenants: Tenants, n: u64) -> usize {
    let tenant = zoo::mix(n) % 60;
    // Some have more to say than others.
    let tenant = tenant * tenant / 60;
    let mut tenants = tenants.lock().unwrap();
    let events = tenants.entry(format!("tenant-{tenant}")).or_default(); // FAULT
    zoo::held(size_of::<Event>() as i64);
    events.push([n; 24]); // FAULT
    if zoo::healthy() && events.len() > 500 {
        events.drain(..250);
        zoo::held(-250 * size_of::<Event>() as i64);
    }
    events.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let tenants = Tenants::default();
    let mut n = 0;
    zoo::pace(4_000, || {
        n += 1;
        diag::spawn(event(tenants.clone(), n));
    })
    .await;
}
