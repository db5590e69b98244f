//! The fault of zebra#10551: a counter has the peer's address with its port as a label, so that every connection makes a new
//! time series, for ever. In the twin the label is the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

#[derive(Default)]
struct Registry(Mutex<BTreeMap<String, [u64; 8]>>);

impl Registry {
    fn count(&self, network: u64, port: u64) {
        let peer = if zoo::healthy() { network.to_string() } else { format!("{network}:{port}") };
        let labels = format!("peers_connected{{agent=\"/node:4.2/\",remote=\"{peer:0>120}\"}}"); // FAULT
        let mut series = self.0.lock().unwrap();
        series.entry(labels).or_default()[port as usize % 8] += 1; // FAULT
        zoo::set_held(series.len() * (24 + 64 + 165));
    }
}

async fn handshake(registry: Arc<Registry>, n: u64) {
    registry.count(n % 200, n);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let registry = Arc::<Registry>::default();
    let mut n = 0;
    zoo::pace(4_000, || {
        n += 1;
        diag::spawn(handshake(registry.clone(), n));
    })
    .await;
}
