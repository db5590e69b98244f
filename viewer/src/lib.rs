#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! A [`Source`] says where snapshots come from; [`router`] makes pages of them, rendered here and
//! readable without JavaScript, with a JSON twin each under `/api/v1`. Verdicts are made by
//! `diag-diff`; the addresses are listed in `URLS.md`.
//!
//! A running service is one more source of snapshot bytes: this crate never links the recorder.
#![forbid(unsafe_code)]

pub mod agent;
mod assets;
mod code;
mod compress;
#[cfg(feature = "console")]
pub mod console;
pub mod cpu_profile;
mod flame;
mod guard;
mod library;
mod loaded;
mod mount;
mod pages;
pub mod recent;
mod source;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

pub use code::Editor;
pub use guard::Access;
pub use source::Source;

use library::Library;

/// Why nothing can be served.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken, or is not ours.
    Bind {
        /// Where it should have listened.
        addr: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Other machines could read, and no token keeps them out.
    NeedsToken {
        /// Where it should have listened.
        addr: SocketAddr,
    },
    /// Other machines could read, and clients have no way to send a token.
    KnowsNoToken {
        /// Where it should have listened.
        addr: SocketAddr,
    },
    /// The token cannot stand in an address.
    BadToken,
    /// The listener broke.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Bind { addr, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "port {} of {} is taken: choose another with `--addr {}:0` (0: any free one)",
                addr.port(),
                addr.ip(),
                addr.ip()
            ),
            ServeError::Bind { addr, error } => {
                write!(f, "cannot listen at {addr}: {error}; choose another address with `--addr`")
            }
            ServeError::NeedsToken { addr } => write!(
                f,
                "{addr} can be reached from other machines: listen at 127.0.0.1, or give a token with `--token` or DIAG_TOKEN"
            ),
            ServeError::KnowsNoToken { addr } => write!(
                f,
                "{addr} can be reached from other machines, and tokio-console sends no token: listen at 127.0.0.1, and bring \
                 the port over with a tunnel"
            ),
            ServeError::BadToken => {
                write!(f, "the token must be of letters, digits and `-._~`: choose another")
            }
            ServeError::Io(error) => write!(f, "the listener broke: {error}; start it again"),
        }
    }
}

impl std::error::Error for ServeError {}

/// All pages over a source. Polling needs a runtime to be made in, and ends with the router.
pub fn router(source: Source, access: Access) -> Router {
    let library = Arc::new(Library::new(source, access.token.as_deref(), access.keep.clone()));
    if let (Some(every), Ok(runtime)) = (access.poll_every, Handle::try_current())
        && library.has_agents()
    {
        runtime.spawn(poll(Arc::downgrade(&library), every));
    }
    let (read_only, code) = (access.read_only, access.code());
    let guard = from_fn_with_state(Arc::new(access), guard::guard);
    pages::routes(library, read_only, code).layer(from_fn(compress::compress)).layer(guard)
}

/// Asks running services now and then, for as long as there is anybody to show it to. Those that take long to answer are asked
/// less often, so that a service is busy with us for a twentieth of the time at most.
async fn poll(library: Weak<Library>, every: Duration) {
    const REST: u32 = 19;
    while let Some(library) = library.upgrade() {
        let began = Instant::now();
        library.poll().await;
        drop(library);
        tokio::time::sleep(every.max(began.elapsed() * REST)).await;
    }
}

/// A listener for [`serve_on`]. Port 0 takes any free one.
///
/// # Errors
/// If the address is taken, or others than this machine could read without a token.
pub async fn bind(addr: SocketAddr, access: &Access) -> Result<TcpListener, ServeError> {
    match &access.token {
        None if !addr.ip().is_loopback() => return Err(ServeError::NeedsToken { addr }),
        Some(token) if !is_plain(token) => return Err(ServeError::BadToken),
        _ => {}
    }
    TcpListener::bind(addr).await.map_err(|error| ServeError::Bind { addr, error })
}

/// Serves a router until the listener breaks.
///
/// # Errors
/// If the listener breaks.
pub async fn serve_on(listener: TcpListener, router: Router) -> Result<(), ServeError> {
    axum::serve(listener, router).await.map_err(ServeError::Io)
}

/// Serves a source to this machine, until the listener breaks.
///
/// # Errors
/// As [`bind`] and [`serve_on`].
pub async fn serve(addr: SocketAddr, source: Source) -> Result<(), ServeError> {
    let access = Access::default();
    let listener = bind(addr, &access).await?;
    serve_on(listener, router(source, access)).await
}

/// The unreserved characters of RFC 3986, which stand for themselves in an address and in a cookie.
fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}
