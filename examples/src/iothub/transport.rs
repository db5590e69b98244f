//! How bytes travel between devices and the hub: loopback TCP, or pipes inside the process.
//!
//! The hub sees one type, [`Line`], so that both ways share one code and one spawn site. TCP ends at some
//! thousands of devices, for want of descriptors and ports; the pipes carry a million. Nothing here listens
//! on anything but loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Connections that may wait to be accepted, and bytes in flight in each direction of a pipe.
const ACCEPT_QUEUE: usize = 1024;
const PIPE_BYTES: usize = 1024;

/// A stream of bytes in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One end of a connection.
pub type Line = Box<dyn Wire>;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// Sockets on 127.0.0.1, any free port.
    Tcp,
    /// Pipes in the process.
    Memory,
}

/// The hub's side: hands out the line of each device that calls.
pub enum Listener {
    /// Sockets.
    Tcp(TcpListener),
    /// Pipes.
    Memory(mpsc::Receiver<Line>),
}

/// The devices' side: calls the hub.
#[derive(Clone)]
pub enum Connector {
    /// Sockets.
    Tcp(SocketAddr),
    /// Pipes.
    Memory(mpsc::Sender<Line>),
}

/// Opens both sides of a transport.
///
/// # Errors
/// The system's, when it has no loopback port to give.
pub async fn open(transport: Transport) -> io::Result<(Listener, Connector)> {
    match transport {
        Transport::Tcp => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let addr = listener.local_addr()?;
            Ok((Listener::Tcp(listener), Connector::Tcp(addr)))
        }
        Transport::Memory => {
            let (calls, waiting) = mpsc::channel(ACCEPT_QUEUE);
            Ok((Listener::Memory(waiting), Connector::Memory(calls)))
        }
    }
}

impl Listener {
    /// The next caller's line; `None` when nobody can call any more.
    ///
    /// # Errors
    /// The system's, when a connection could not be accepted; the next one may succeed.
    pub async fn accept(&mut self) -> Option<io::Result<Line>> {
        match self {
            Listener::Tcp(listener) => Some(listener.accept().await.and_then(|(stream, _)| tcp_line(stream))),
            Listener::Memory(waiting) => waiting.recv().await.map(Ok),
        }
    }
}

impl Connector {
    /// Calls the hub.
    ///
    /// # Errors
    /// The system's, or `ConnectionRefused` when the hub is gone.
    pub async fn connect(&self) -> io::Result<Line> {
        match self {
            Connector::Tcp(addr) => TcpStream::connect(addr).await.and_then(tcp_line),
            Connector::Memory(calls) => {
                let (near, far) = tokio::io::duplex(PIPE_BYTES);
                calls.send(Box::new(far)).await.or(Err(io::ErrorKind::ConnectionRefused))?;
                Ok(Box::new(near))
            }
        }
    }
}

/// Frames are small and somebody waits for each: they must not be held back to fill a packet.
fn tcp_line(stream: TcpStream) -> io::Result<Line> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
