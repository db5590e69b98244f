//! hyper over tokio's sockets: the few lines of glue that a helper crate would bring.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::callers::Caller;
use super::routes::{self, Routes};

/// More than any browser sends as the head of a request; what is longer is refused.
const LARGEST_HEAD_BYTES: usize = 16 << 10;
/// What a caller sends after its answer is read and dropped up to so much: to close a socket on which something is
/// unread takes the answer away from the caller (RST).
const LARGEST_REST_BYTES: usize = 1 << 20;

/// Serves one connection: one request, one answer, and no answer that the caller cannot read.
pub(super) async fn serve(mut stream: TcpStream, caller: Caller, routes: Arc<Routes>) {
    let has_asked = AtomicBool::new(false);
    let answer = hyper::service::service_fn(|request| async {
        has_asked.store(true, Ordering::Relaxed);
        let answer = if caller.ask() { routes.answer(request).await } else { too_many() };
        caller.is_to_read(answer.body().bytes());
        Ok::<_, Infallible>(answer)
    });
    let mut protocol = hyper::server::conn::http1::Builder::new();
    protocol.keep_alive(false).max_buf_size(LARGEST_HEAD_BYTES);
    let is_served = {
        let connection = pin!(protocol.serve_connection(Io { stream: &mut stream, caller: &caller }, answer));
        // A caller that went away or sent nonsense is its own affair.
        while_welcome(&caller, connection).await.is_some()
    };
    if !is_served {
        if has_asked.into_inner() {
            return;
        }
        // One try: nothing was written before, so there is room.
        let _ = stream.try_write(nothing_asked().as_bytes());
    }
    caller.is_answered();
    while_welcome(&caller, pin!(hang_up(stream))).await;
}

/// Waits for what is done with a caller, as long as the caller does its part and need not leave.
async fn while_welcome<T>(caller: &Caller, mut done: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut sent_away = pin!(caller.sent_away());
    let mut patience = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        if let Poll::Ready(done) = done.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if sent_away.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        while patience.as_mut().poll(cx).is_ready() {
            match caller.patience() {
                Some(until) => patience.as_mut().reset(until),
                None => return Poll::Ready(None),
            }
        }
        Poll::Pending
    })
    .await
}

/// Ends our side and reads until the caller ends its own.
async fn hang_up(mut stream: TcpStream) {
    let _ = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
    let (mut rest, mut read) = ([0; 4096], 0);
    while read < LARGEST_REST_BYTES && stream.readable().await.is_ok() {
        match stream.try_read(&mut rest) {
            Ok(0) => return,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// For a caller that has to leave before it asked.
fn nothing_asked() -> String {
    let text = "no whole request within 2 s, or too many ask nothing: send it at once, or try again\n";
    format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: {}\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{text}",
        routes::TEXT,
        text.len(),
    )
}

/// For a caller that asks while too many wait.
fn too_many() -> Response<Whole> {
    let mut response = routes::plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many ask at once: try again in a moment; nothing more is captured meanwhile\n",
    );
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// A body that is there in one piece, which all who ask for it share.
#[derive(Clone)]
pub(super) struct Whole(Option<Bytes>);

impl<T: Into<Bytes>> From<T> for Whole {
    fn from(bytes: T) -> Self {
        Whole(Some(bytes.into()))
    }
}

impl Whole {
    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
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
struct Io<'a> {
    stream: &'a mut TcpStream,
    caller: &'a Caller,
}

impl Read for Io<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: through a `ReadBuf` nothing becomes uninitialized again.
        let mut buffer = ReadBuf::uninit(unsafe { to.as_mut() });
        ready!(Pin::new(&mut *self.stream).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        // SAFETY: so many bytes of it are filled.
        unsafe { to.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl Write for Io<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.stream).poll_write_vectored(cx, bytes))?;
        self.caller.read_some();
        Poll::Ready(Ok(written))
    }

    /// Else hyper copies the whole answer for each who reads it.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}
