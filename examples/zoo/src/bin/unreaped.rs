//! The fault of daemon#212 (of moadim-io) and zapfast#132: a hook is a program that is started and left alone, and std waits for none
//! whose `Child` is dropped. It ends at once, and stays in the kernel's table as long as its parent lives. Nothing else grows. The
//! twin waits for it, on the blocking pool.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod hooks {
    use super::{Child, Command, Stdio};

    /// Starts the hook of an event, whose name it is told.
    fn start(event: &str) -> std::io::Result<Child> {
        let mut command = Command::new("/bin/true");
        command.arg(event).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn() // FAULT
    }

    /// Runs a hook and does not wait for it.
    pub(crate) fn run(event: &str) {
        let Ok(mut child) = start(event) else { return }; // FAULT
        if zoo::healthy() {
            diag::task::spawn_blocking(move || child.wait());
        }
    }
}

/// What is done with an event.
async fn deliver(n: u64) -> usize {
    let event = format!("{{\"kind\":\"push\",\"repository\":{},\"n\":{n}}}", zoo::mix(n) % 40);
    sleep(Duration::from_millis(4 + n % 9)).await;
    if n % 25 == 3 {
        hooks::run(&event); // FAULT
    }
    event.len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(20, |n| {
        diag::spawn(deliver(n));
    })
    .await;
}
