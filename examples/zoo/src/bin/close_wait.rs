//! A gateway keeps the socket of every device in a table by its number, and a device that leaves stays there: the kernel
//! waits for the gateway to close too. No task is left of the device. The twin takes it out of the table.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

type Devices = Arc<Mutex<HashMap<u64, Arc<TcpStream>>>>;

async fn device(devices: Devices, id: u64, socket: TcpStream) {
    let socket = Arc::new(socket);
    devices.lock().unwrap().insert(id, socket.clone()); // FAULT
    let mut report = [0; 64];
    loop {
        let _ = socket.readable().await;
        if let Ok(0) = socket.try_read(&mut report) {
            break;
        }
    }
    if zoo::healthy() {
        devices.lock().unwrap().remove(&id);
    }
}

/// Three devices a second, each of which reports for two seconds and leaves.
async fn devices(gateway: SocketAddr) {
    zoo::every(330, |_| {
        tokio::spawn(async move {
            let Ok(socket) = TcpStream::connect(gateway).await else { return };
            for _ in 0..20 {
                let _ = socket.try_write(b"21.5 C");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    })
    .await;
}

#[tokio::main]
async fn main() {
    zoo::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = listener.local_addr().expect("an address");
    zoo::outside(move |tell| async move {
        let _ = tell.send(());
        devices(here).await;
    });
    let table = Devices::default();
    for id in 0.. {
        let accepted = listener.accept().await; // FAULT
        if let Ok((socket, _)) = accepted {
            diag::spawn(device(table.clone(), id, socket));
        }
    }
}
