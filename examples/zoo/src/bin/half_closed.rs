//! The fault of tokio#4556, meow-rs#242 and tuic#139: a relay copies in both directions and ends when both have ended. A client that
//! leaves ends one; a server that neither sends nor closes never ends the other, and the relay's task stays with both sockets.
//! The twin gives the second direction one more second.

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Servers and clients. One connection in seven meets a server that does not close.
mod world {
    use std::net::SocketAddr;
    use std::sync::mpsc::Sender;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, Result};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};

    async fn answer(mut peer: TcpStream, closes: bool) -> Result<()> {
        while let Ok(request) = peer.read_u64().await {
            sleep(Duration::from_millis(5)).await;
            peer.write_all(&request.to_be_bytes().repeat(64)).await?;
        }
        if !closes {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    pub(crate) async fn servers(tell: Sender<SocketAddr>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        for n in 1.. {
            let (peer, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(peer, n % 7 != 0));
        }
    }

    async fn client(relay: SocketAddr) -> Result<()> {
        let mut socket = TcpStream::connect(relay).await?;
        let mut answer = [0; 512];
        for request in 0..6 {
            socket.write_u64(request).await?;
            socket.read_exact(&mut answer).await?;
            sleep(Duration::from_millis(40)).await;
        }
        socket.shutdown().await?;
        let _ = timeout(Duration::from_millis(300), socket.read_u8()).await;
        Ok(())
    }

    pub(crate) async fn clients(relay: SocketAddr) {
        loop {
            sleep(Duration::from_millis(90)).await;
            tokio::spawn(client(relay));
        }
    }
}

mod relay {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt, Result, copy, copy_bidirectional};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    const LINGER: Duration = Duration::from_secs(1);

    /// Copies until one direction ends, and then for no longer than a second.
    async fn copy_and_linger(mut client: TcpStream, mut server: TcpStream) {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let _ = copy(&mut from_client, &mut to_server).await;
            let _ = to_server.shutdown().await;
        };
        let down = async {
            let _ = copy(&mut from_server, &mut to_client).await;
            let _ = to_client.shutdown().await;
        };
        tokio::pin!(up, down);
        let _ = tokio::select! {
            () = &mut up => timeout(LINGER, down).await,
            () = &mut down => timeout(LINGER, up).await,
        };
    }

    async fn serve(mut client: TcpStream, server: SocketAddr) -> Result<()> {
        let mut server = TcpStream::connect(server).await?;
        if zoo::healthy() {
            copy_and_linger(client, server).await;
        } else {
            copy_bidirectional(&mut client, &mut server).await?; // FAULT
        }
        Ok(())
    }

    pub(crate) async fn run(listener: TcpListener, server: SocketAddr) {
        while let Ok((client, _)) = listener.accept().await {
            diag::spawn(serve(client, server)); // FAULT
        }
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let server = zoo::outside(world::servers);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    zoo::outside(move |tell| async move {
        tell.send(()).unwrap();
        world::clients(address).await;
    });
    relay::run(listener, server).await;
}
