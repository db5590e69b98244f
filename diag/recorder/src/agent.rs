//! The HTTP side, on its own thread with its own runtime: it answers while the service's runtime hangs,
//! which is when it is needed.

mod accept;
mod access;
mod callers;
mod http;
mod listener;
mod profiles;
mod routes;
mod work;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use access::Access;
use listener::Listener;
use routes::Routes;

use crate::fork::{self, ClosedInChild};
use crate::health::{self, Status};
use crate::messages;
use crate::problem::{Problem, ProblemKind};
use crate::sys;

/// Ports tried after the one asked for, if that is busy.
const NEXT_PORTS: u16 = 16;

/// True if the agent may listen there: where others than this machine reach it, it asks for a token, or
/// somebody meant it to be open.
pub(crate) fn may_listen(addr: SocketAddr, token: Option<&str>, is_open: bool) -> bool {
    access::is_loopback(addr) || token.is_some() || is_open
}

/// Starts the agent, and tells where it listens, also on stderr.
///
/// The runtime is made on the agent's own thread: dropped on the caller's, which may be a worker of
/// another runtime, it would panic.
pub(crate) fn start(addr: SocketAddr, token: Option<String>) -> io::Result<SocketAddr> {
    let socket = bind(addr)?;
    let closed = fork::close_in_child(&socket);
    let bound = socket.local_addr()?;
    let routes = Arc::new(Routes::new(Access::new(bound, token)));
    let run = move || {
        let _own = crate::background_thread(c"diag-agent");
        if let Err(error) = serve(socket, closed, routes) {
            health::report("agent", Status::Failed(error.to_string().into()));
            let text = format!("the agent ended ({error}); the service goes on without it");
            messages::report(&Problem::new(ProblemKind::Agent, text).because(error));
        }
    };
    sys::start_thread(sys::USUAL_STACK_BYTES, run)?;
    let is_moved = bound.port() != addr.port() && addr.port() != 0;
    let why = if is_moved { format!("{addr} is busy; ") } else { String::new() };
    messages::note(&format_args!("{why}the agent listens on http://{bound}"));
    Ok(bound)
}

/// Serves for ever, on the calling thread.
fn serve(socket: TcpListener, closed: ClosedInChild, routes: Arc<Routes>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = Listener::new(socket)?;
        // Ends before the socket does: then its number may be a descriptor of the service's.
        let _closed = closed;
        listener.serve(routes).await
    })
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
