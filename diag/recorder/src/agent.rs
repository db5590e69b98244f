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

use tokio::runtime::Runtime;

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
pub(crate) fn start(addr: SocketAddr, token: Option<String>) -> io::Result<SocketAddr> {
    let socket = bind(addr)?;
    let bound = socket.local_addr()?;
    let server = Server::new(socket, Access::new(bound, token))?;
    sys::start_thread(sys::USUAL_STACK_BYTES, move || server.run())?;
    let is_moved = bound.port() != addr.port() && addr.port() != 0;
    let why = if is_moved { format!("{addr} is busy; ") } else { String::new() };
    messages::note(&format_args!("{why}the agent listens on http://{bound}"));
    Ok(bound)
}

/// All that the agent needs, made before its thread is: that allocates nothing until somebody asks, as glibc reserves
/// 64 MiB of address space for a thread that does; and by then the service may have no descriptor left.
struct Server {
    /// Ends before the socket does: then its number may be a descriptor of the service's.
    closed: ClosedInChild,
    listener: Listener,
    routes: Arc<Routes>,
    runtime: OwnRuntime,
}

impl Server {
    fn new(socket: TcpListener, access: Access) -> io::Result<Self> {
        #[cfg(feature = "heap")]
        let _hidden = crate::heap::hide_thread();
        let closed = fork::close_in_child(&socket);
        let runtime = OwnRuntime::new()?;
        let listener = runtime.enter(|| Listener::new(socket))?;
        Ok(Server { closed, listener, routes: Arc::new(Routes::new(access)), runtime })
    }

    /// Serves for ever, on the calling thread.
    fn run(self) {
        let _own = crate::own_thread(c"diag-agent");
        // Refused, there is no harm in beginning now.
        let _ = self.listener.wait_for_first();
        crate::hide_for_ever();
        if let Err(error) = self.serve() {
            health::report("agent", Status::Failed(error.to_string().into()));
            let text = format!("the agent ended ({error}); the service goes on without it");
            messages::report(&Problem::new(ProblemKind::Agent, text).because(error));
        }
    }

    fn serve(self) -> io::Result<()> {
        let Server { closed, listener, routes, runtime } = self;
        let Some(runtime) = &runtime.0 else { return Ok(()) };
        runtime.block_on(async move {
            let _closed = closed;
            listener.serve(routes).await
        })
    }
}

/// A runtime that can be dropped where another one is at work, too.
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn new() -> io::Result<Self> {
        Ok(OwnRuntime(Some(tokio::runtime::Builder::new_current_thread().enable_all().build()?)))
    }

    fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        work()
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
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
