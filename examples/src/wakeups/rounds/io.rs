//! Sockets and pipes.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::{few, join};

pub(super) async fn tcp() {
    let accepted = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let client = diag::spawn(TcpStream::connect(addr));
        let (server, _) = listener.accept().await?;
        Ok::<_, std::io::Error>((client.await, server))
    };
    match accepted.await {
        Ok((Ok(Ok(client)), server)) => {
            // At full speed the ports would run out otherwise.
            assert!(client.set_zero_linger().is_ok() && server.set_zero_linger().is_ok());
            talk(client, server, 1 << 20).await;
        }
        other => panic!("no connection over loopback: {other:?}"),
    }
}

pub(super) async fn unix() {
    match UnixStream::pair() {
        Ok((client, server)) => talk(client, server, 1 << 20).await,
        Err(error) => panic!("no pair of sockets: {error}"),
    }
}

pub(super) async fn duplex() {
    let (client, server) = tokio::io::duplex(64);
    talk(client, server, 1 << 12).await;
}

/// Some questions and their answers, longer than what fits in between at times.
async fn talk<S>(mut client: S, mut server: S, long_bytes: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let bytes = if fastrand::u32(..8) == 0 { long_bytes } else { fastrand::usize(1..200) };
    let rounds = few();
    let answers = diag::spawn(async move {
        let mut message = vec![0; bytes];
        for _ in 0..rounds {
            assert!(server.read_exact(&mut message).await.is_ok());
            assert!(server.write_all(&message).await.is_ok());
        }
        server
    });
    let mut message = vec![7; bytes];
    for _ in 0..rounds {
        assert!(client.write_all(&message).await.is_ok());
        assert!(client.read_exact(&mut message).await.is_ok());
    }
    join(vec![answers]).await;
}
