//! The first bytes of some packets are kept as a key, as a slice of the packet, and keep the whole packet. The twin copies them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Devices = Arc<Mutex<BTreeMap<Bytes, u64>>>;

fn receive(n: u64) -> Bytes {
    let mut packet = vec![0; 32 << 10]; // FAULT
    packet[..8].copy_from_slice(&n.to_be_bytes());
    Bytes::from(packet)
}

async fn handle(devices: Devices, n: u64) {
    let packet = receive(n);
    // One in ten is a device's first.
    if n.is_multiple_of(10) {
        let key = if zoo::healthy() { Bytes::copy_from_slice(&packet[..8]) } else { packet.slice(..8) }; // FAULT
        zoo::held(key.len() as i64);
        devices.lock().unwrap().insert(key, n); // FAULT
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let devices = Devices::default();
    let mut n = 0;
    zoo::pace(600, || {
        n += 1;
        diag::spawn(handle(devices.clone(), n));
    })
    .await;
}
