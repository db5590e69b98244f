//! hyper over tokio's sockets: the few lines of glue that a helper crate would bring.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::routes::Routes;

/// A caller that asks or reads for longer is let go. The time that an answer takes does not count.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves one connection: one request, one answer.
pub(super) async fn serve(stream: TcpStream, routes: Arc<Routes>) -> hyper::Result<()> {
    let (is_at_work, has_answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let answer = hyper::service::service_fn(|request| async {
        is_at_work.store(true, Ordering::Relaxed);
        let answer = routes.answer(request).await;
        has_answered.store(true, Ordering::Relaxed);
        is_at_work.store(false, Ordering::Relaxed);
        Ok::<_, Infallible>(answer)
    });
    let mut protocol = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(protocol.keep_alive(false).serve_connection(Io(stream), answer));
    loop {
        match tokio::time::timeout(PATIENCE, &mut connection).await {
            Ok(ended) => return ended,
            // An answer that was ready only just now is still to be read.
            Err(_) if is_at_work.load(Ordering::Relaxed) || has_answered.swap(false, Ordering::Relaxed) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// A body that is there in one piece.
pub(super) struct Whole(Option<Bytes>);

impl<T: Into<Bytes>> From<T> for Whole {
    fn from(bytes: T) -> Self {
        Whole(Some(bytes.into()))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// tokio's socket as hyper reads and writes it.
struct Io(TcpStream);

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Requests are short: a small buffer of our own needs no unsafe view of hyper's.
        let mut space = [0; 1024];
        let room = to.remaining().min(space.len());
        let mut buffer = ReadBuf::new(&mut space[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        to.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
