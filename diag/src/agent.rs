//! The HTTP side, on its own thread with its own runtime: it answers while the service's runtime hangs,
//! which is when it is needed.

mod http;
mod listener;
mod routes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use listener::Listener;
use routes::Routes;

/// Ports tried after the one asked for, if that is busy.
const NEXT_PORTS: u16 = 16;

/// Starts the agent and tells where it listens.
pub(crate) fn start(addr: SocketAddr, token: Option<String>) -> io::Result<SocketAddr> {
    let std_listener = bind(addr)?;
    let bound = std_listener.local_addr()?;
    if bound.port() != addr.port() && addr.port() != 0 {
        crate::warn(&format_args!("{addr} is busy; the agent listens on {bound}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("diag-capture")
        .on_thread_start(crate::background_thread)
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        Listener::new(std_listener)?
    };
    let routes = Arc::new(Routes::new(bound, token));
    let run = move || {
        crate::background_thread();
        runtime.block_on(listener.serve(routes));
    };
    thread::Builder::new().name("diag-agent".to_owned()).spawn(run)?;
    Ok(bound)
}

/// Listens on `addr`, or on one of the next ports if that one is busy.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let mut busy = None;
    for step in 0..=NEXT_PORTS {
        let Some(port) = addr.port().checked_add(step) else { break };
        match TcpListener::bind(SocketAddr::new(addr.ip(), port)) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => busy = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(busy.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}
