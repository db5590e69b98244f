//! The HTTP client of the store: a pool of connections, and in each request the id of the one that it is asked for.

use async_trait::async_trait;
use http::HeaderValue;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};

/// The header of a request's id, from the client to the store.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Makes clients, each with a pool of its own.
#[derive(Debug)]
pub(crate) struct Pooled {
    connections: diag::hyper::Executor,
}

impl Pooled {
    /// The tasks of their connections are of the caller's line.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Pooled { connections: diag::hyper::Executor::new() }
    }
}

impl object_store::client::HttpConnector for Pooled {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(legacy::Client::builder(self.connections).build_http())))
    }
}

#[derive(Debug)]
struct Client(legacy::Client<HttpConnector, HttpRequestBody>);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let id = diag_tracing::current_trace_id().and_then(|id| HeaderValue::from_str(&id).ok());
        if let Some(id) = id {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        let answer = self.0.request(request).await.map_err(failed)?;
        Ok(answer.map(|body| {
            let failed = |error| HttpError::new(HttpErrorKind::Interrupted, error);
            HttpResponseBody::new(http_body_util::BodyExt::map_err(body, failed))
        }))
    }
}

fn failed(error: legacy::Error) -> HttpError {
    let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
    HttpError::new(kind, error)
}
