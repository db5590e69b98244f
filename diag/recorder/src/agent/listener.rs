//! Accepting connections, also on the day when the service has run out of descriptors.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::callers::Callers;
use super::http;
use super::routes::Routes;
use crate::health::{self, Status};
use crate::messages;
use crate::problem::{Problem, ProblemKind};
use crate::sys;

/// The agent's listening socket and its spare descriptor.
pub(super) struct Listener {
    socket: TcpListener,
    /// Given up when the process has no descriptor left, so that one caller can still get in.
    spare: Option<File>,
    /// Callers in a row that could not be accepted.
    failures: u32,
}

/// So many in a row are not callers that hang up.
const MANY_FAILURES: u32 = 8;

impl Listener {
    pub(super) fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        sys::bound_send_buffer(&socket, SEND_BUFFER_BYTES);
        Ok(Listener { socket: TcpListener::from_std(socket)?, spare: spare(), failures: 0 })
    }

    /// Waits, outside of the runtime, until somebody is to be accepted.
    pub(super) fn wait_for_first(&self) -> io::Result<()> {
        sys::wait_until_readable(&self.socket)
    }

    /// Serves for ever.
    pub(super) async fn serve(mut self, routes: Arc<Routes>) -> io::Result<()> {
        let callers = Arc::new(Callers::default());
        loop {
            callers.room().await;
            let Some(stream) = self.accept().await else { continue };
            tokio::spawn(http::serve(stream, callers.arrive(), Arc::clone(&routes)));
        }
    }

    async fn accept(&mut self) -> Option<TcpStream> {
        self.spare = self.spare.take().or_else(spare);
        match self.socket.accept().await {
            Ok((stream, _)) => {
                if self.failures >= MANY_FAILURES {
                    health::report("agent", Status::Works);
                }
                self.failures = 0;
                Some(stream)
            }
            Err(error) if sys::is_out_of_descriptors(&error) => {
                self.spare = None;
                let accepted = self.socket.accept().await.ok();
                if accepted.is_none() {
                    // Somebody else was faster; without a pause this would spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                accepted.map(|(stream, _)| stream)
            }
            // The caller hung up before it was accepted, or the system accepts nobody.
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures == MANY_FAILURES {
                    let why = format!("nobody is let in: {error}");
                    let text = format!("the agent listens, but {why}");
                    messages::report(&Problem::new(ProblemKind::Agent, text).because(error));
                    health::report("agent", Status::Failed(why.into()));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                None
            }
        }
    }
}

/// What the kernel keeps of an answer that nobody reads is the service's memory, too: by itself it would take up
/// to 4 MiB for each caller. Connections inherit this.
const SEND_BUFFER_BYTES: u32 = 128 << 10;

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}
