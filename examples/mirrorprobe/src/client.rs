//! The HTTP client of the mirrors: a pool of connections.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;

/// A client of all mirrors.
pub(crate) struct Client(legacy::Client<HttpConnector, Empty<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        let mut builder = legacy::Client::builder(diag::hyper::Executor::new());
        Client(builder.pool_timer(TokioTimer::new()).build_http())
    }

    /// The body of an answer; an error of an answer that is none.
    pub(crate) async fn get(&self, url: &str) -> anyhow::Result<Bytes> {
        let answer = self.0.get(url.parse()?).await?;
        anyhow::ensure!(answer.status().is_success(), "the mirror answers {}", answer.status());
        Ok(answer.into_body().collect().await?.to_bytes())
    }
}
