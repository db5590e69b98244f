//! A service's snapshots in the protocol of [tokio-console](https://docs.rs/tokio-console), which attaches to it as to
//! console-subscriber.
//!
//! ```text
//! agent ──snapshot──► Moment ──what changed since a client was told──► Update ──gRPC──► tokio-console
//!       once a second,        Told, pure
//!       while one watches
//! ```
//!
//! The service needs no flags and links nothing for it: it is asked for its tasks, and for no stacks of threads. What
//! happened between two snapshots is not seen: a task that was spawned and ended in between is never shown.

mod asker;
mod feed;
mod histogram;
mod instrument;
mod moment;
mod process;
mod resource;
mod task;
mod told;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use console_api::instrument::instrument_server::InstrumentServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::ServeError;
use crate::agent::Agent;
use feed::Feed;
use instrument::Instrumented;

/// Of a client whose machine is gone nobody hears: so it is asked.
const CLIENT_ASKED_EVERY: Duration = Duration::from_secs(20);

/// Which service is shown, and how it is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its agent.
    pub agent: Agent,
    /// Its `DIAG_TOKEN`, if it has one.
    pub token: Option<String>,
    /// From one question to the next, while a client watches.
    pub every: Duration,
    /// How long an answer may take.
    pub within: Duration,
    /// Is told in a sentence when the service does not answer, and when it does so again.
    pub say: fn(&str),
}

/// A listener for [`serve_on`]. Port 0 takes any free one.
///
/// # Errors
/// If the address is taken, or others than this machine could read: tokio-console knows no token.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    if !addr.ip().is_loopback() {
        return Err(ServeError::KnowsNoToken { addr });
    }
    TcpListener::bind(addr).await.map_err(|error| ServeError::Bind { addr, error })
}

/// Answers tokio-console until the listener breaks.
///
/// # Errors
/// If the listener breaks.
pub async fn serve_on(listener: TcpListener, options: Options) -> Result<(), ServeError> {
    let feed = Arc::new(Feed::default());
    let clients = Server::builder()
        .http2_keepalive_interval(Some(CLIENT_ASKED_EVERY))
        .add_service(InstrumentServer::new(Instrumented { feed: Arc::clone(&feed) }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        served = clients => served.map_err(|error| ServeError::Io(io::Error::other(error))),
        () = asker::ask(&options, &feed) => Ok(()),
    }
}
