//! The fault that tower#434 describes: a forwarder makes sure that there is room at the other end, and then waits for something to
//! forward. The room is its own meanwhile. When forwarders that have nothing to say have all of it, those that have wait for
//! them. The twin waits for something first.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What devices report.
mod device {
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::sleep;

    pub(crate) struct Report {
        pub(crate) _device: u64,
        pub(crate) body: Vec<u8>,
    }

    /// One in ten reports all the time. The others say hello, and then something every few minutes.
    pub(crate) async fn run(device: u64, to_hub: mpsc::Sender<Report>) {
        for n in 0.. {
            if to_hub.try_send(Report { _device: device, body: vec![n as u8; 600] }).is_ok() {
                zoo::held(600);
            }
            let pause = if device.is_multiple_of(10) { 40 } else { 200_000 };
            sleep(Duration::from_millis(pause)).await;
        }
    }
}

mod hub {
    use tokio::sync::mpsc::{Receiver, Sender};

    use crate::device::Report;

    /// Hands on what a device reports.
    pub(crate) async fn forward(mut from: Receiver<Report>, to_writer: Sender<Report>) {
        loop {
            if zoo::healthy() {
                let Some(report) = from.recv().await else { return };
                let Ok(room) = to_writer.reserve().await else { return };
                room.send(report);
            } else {
                let Ok(room) = to_writer.reserve().await else { return }; // FAULT
                let Some(report) = from.recv().await else { return }; // FAULT
                room.send(report);
            }
        }
    }

    /// Writes what comes.
    pub(crate) async fn write(mut reports: Receiver<Report>) {
        while let Some(report) = reports.recv().await {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            zoo::held(-(report.body.len() as i64));
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (to_writer, reports) = tokio::sync::mpsc::channel(32); // FAULT
    diag::spawn(hub::write(reports));
    for device in 0..60 {
        let (to_hub, from_device) = tokio::sync::mpsc::channel(4);
        diag::spawn(device::run(device, to_hub));
        diag::spawn(hub::forward(from_device, to_writer.clone())); // FAULT
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    zoo::every(30, |n| {
        diag::spawn(async move { format!("{n:>500}").len() });
    })
    .await;
}
