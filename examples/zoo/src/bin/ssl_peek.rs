//! The fault of pgwire#327: a server peeks for the eight bytes by which a client asks for TLS, and peeks again when there are
//! fewer. A peer that sends five and then nothing, as scanners of ports do, is always ready to be read, and its task does nothing
//! else until it is shown out after a minute. The twin pauses between two looks.

use std::net::SocketAddr;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Those who connect: clients, and now and then a scanner.
mod world {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::sleep;

    async fn client(server: SocketAddr) -> std::io::Result<()> {
        let mut socket = TcpStream::connect(server).await?;
        socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
        assert_eq!(socket.read_u8().await?, b'N');
        for query in 0..5 {
            socket.write_u64(query).await?;
            socket.read_u64().await?;
            sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    }

    async fn scanner(server: SocketAddr) -> std::io::Result<()> {
        let mut socket = TcpStream::connect(server).await?;
        socket.write_all(b"HELP\n").await?;
        socket.read_u8().await.map(drop)
    }

    pub(crate) async fn run(server: SocketAddr) {
        for n in 0.. {
            sleep(Duration::from_millis(50)).await;
            tokio::spawn(client(server));
            if n == 40 || n == 500 {
                tokio::spawn(scanner(server));
            }
        }
    }
}

mod server {
    use std::io::{Error, ErrorKind, Result};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};

    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    const STARTUP: Duration = Duration::from_secs(60);

    /// Looks at what a peer sends first, and leaves it there.
    async fn peek_for_ssl_request(socket: &TcpStream) -> Result<bool> {
        let mut start = [0; 8];
        loop {
            // FAULT
            match socket.peek(&mut start).await? {
                // FAULT
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                8 => return Ok(start == SSL_REQUEST),
                _ if zoo::healthy() => sleep(Duration::from_millis(100)).await,
                _ => continue, // FAULT
            }
        }
    }

    async fn serve(mut socket: TcpStream) -> Result<()> {
        let wants_ssl = timeout(STARTUP, peek_for_ssl_request(&socket)).await; // FAULT
        if wants_ssl.map_err(Error::from)?? {
            socket.read_u64().await?;
            socket.write_u8(b'N').await?;
        }
        while let Ok(query) = socket.read_u64().await {
            sleep(Duration::from_millis(4)).await;
            socket.write_u64(query).await?;
        }
        Ok(())
    }

    pub(crate) async fn run(listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            diag::spawn(serve(socket)); // FAULT
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    zoo::outside(move |tell| async move {
        tell.send(()).unwrap();
        world::run(address).await;
    });
    server::run(listener).await;
}
