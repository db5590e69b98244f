//! Accepting connections, also on the day when the service has run out of descriptors.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::http;
use super::routes::Routes;

/// Connections served at once; more are closed unanswered.
const AT_ONCE: usize = 8;

/// The agent's listening socket and its spare descriptor.
pub(super) struct Listener {
    socket: TcpListener,
    /// Given up when the process has no descriptor left, so that one caller can still get in.
    spare: Option<File>,
}

impl Listener {
    pub(super) fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Listener { socket: TcpListener::from_std(socket)?, spare: spare() })
    }

    /// Serves for ever.
    pub(super) async fn serve(mut self, routes: Arc<Routes>) -> io::Result<()> {
        let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        loop {
            let Some(stream) = self.accept().await else { continue };
            let Ok(turn) = Arc::clone(&turns).try_acquire_owned() else { continue };
            let routes = Arc::clone(&routes);
            tokio::spawn(async move {
                let _turn = turn;
                // A caller that went away or was too slow is its own affair.
                let _ = http::serve(stream, routes).await;
            });
        }
    }

    async fn accept(&mut self) -> Option<TcpStream> {
        self.spare = self.spare.take().or_else(spare);
        match self.socket.accept().await {
            Ok((stream, _)) => Some(stream),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                self.spare = None;
                let accepted = self.socket.accept().await.ok();
                if accepted.is_none() {
                    // Somebody else was faster; without a pause this would spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                accepted.map(|(stream, _)| stream)
            }
            // The caller hung up before it was accepted.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                None
            }
        }
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}
