//! `/events`: what changes while a page is open, a line each, as server-sent events.
//!
//! `source` is what stands on top of pages now: a list of `weight` and `says`. `snapshots` is how many are `newer` than the
//! page. Comments keep the connection open through proxies, and let a listener that is gone be noticed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Ask;
use crate::library::{Listener, Now, Weight};

/// Proxies close what is silent for a minute.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A browser that lost the connection tries again after so many milliseconds.
const RETRY_MS: u32 = 2_000;

#[derive(Deserialize)]
pub(crate) struct Page {
    /// When the newest snapshot was taken that the page knew, in microseconds.
    #[serde(default)]
    after: u64,
}

#[derive(Serialize)]
struct Says<'a> {
    weight: &'static str,
    says: &'a str,
}

pub(crate) async fn stream(State(ask): State<Ask>, Query(page): Query<Page>) -> Response {
    let Some(Listener { now, place }) = ask.library.listen() else {
        let next = "close some of its pages; they stay as they are until they are loaded again";
        let text = format!("too many pages listen to this viewer: {next}\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (to, from) = mpsc::channel(4);
    let teller = tokio::spawn(tell(now, to, page.after));
    ([(CONTENT_TYPE, "text/event-stream")], Body::new(Stream { from, teller, _place: place })).into_response()
}

/// Sends what is new until the listener has gone.
async fn tell(
    mut now: tokio::sync::watch::Receiver<Option<Now>>,
    to: mpsc::Sender<Bytes>,
    after_unix_us: u64,
) {
    let mut told = Told::default();
    let mut text = format!("retry: {RETRY_MS}\n\n");
    loop {
        if let Some(now) = now.borrow_and_update().as_ref() {
            text += &told.news(now, after_unix_us);
        }
        if !text.is_empty() && to.send(Bytes::from(std::mem::take(&mut text))).await.is_err() {
            return;
        }
        match timeout(ALIVE_EVERY, now.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => text += ":\n\n",
        }
    }
}

/// What a listener was told.
#[derive(Default)]
struct Told {
    phrases: Vec<(Weight, String)>,
    newer: usize,
}

impl Told {
    /// What has changed since, as events.
    fn news(&mut self, now: &Now, after_unix_us: u64) -> String {
        let mut text = String::new();
        if self.phrases != now.phrases {
            self.phrases.clone_from(&now.phrases);
            let says = now.phrases.iter().map(|(weight, says)| Says { weight: weight.word(), says });
            text += &event("source", &says.collect::<Vec<_>>());
        }
        let newer = now.newer(after_unix_us);
        if self.newer != newer {
            self.newer = newer;
            text += &event("snapshots", &serde_json::json!({ "newer": newer }));
        }
        text
    }
}

/// JSON on one line: a line end would end the event.
fn event(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// An answer that goes on until nobody reads it.
struct Stream {
    from: mpsc::Receiver<Bytes>,
    teller: JoinHandle<()>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.from.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.teller.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told_and_on_one_line() {
        let mut told = Told::default();
        let mut now = Now { phrases: vec![(Weight::Good, "live\nnow".to_owned())], taken_unix_us: vec![10] };
        assert_eq!(
            told.news(&now, 10),
            "event: source\ndata: [{\"weight\":\"good\",\"says\":\"live\\nnow\"}]\n\n"
        );
        assert_eq!(told.news(&now, 10), "");
        now.taken_unix_us.extend([20, 30]);
        assert_eq!(told.news(&now, 10), "event: snapshots\ndata: {\"newer\":2}\n\n");
        now.phrases[0].0 = Weight::Alarm;
        assert!(told.news(&now, 10).starts_with("event: source\ndata: [{\"weight\":\"alarm\""));
    }
}
