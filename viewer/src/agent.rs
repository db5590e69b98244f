//! The agent inside of a running service, asked for a snapshot over HTTP.
//!
//! Used by `diag snap` and by the viewer. There is no TLS: the agent listens on loopback, and a
//! tunnel brings it to another machine.

use std::time::Duration;

use diag_snapshot::human;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const LARGEST_ANSWER_BYTES: usize = 4 << 30;
const DEFAULT_PORT: u16 = 9797;

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    host: String,
    port: u16,
    /// `host:port` as it was given.
    authority: String,
}

impl Agent {
    /// The agent at `http://127.0.0.1:9797` or `127.0.0.1:9797`.
    ///
    /// # Errors
    /// What is wrong with the address and how to write it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let example = "write it like `http://127.0.0.1:9797`";
        if url.starts_with("https://") {
            return Err(format!(
                "`{url}`: the agent speaks plain http, use `http://` (and a tunnel for another machine)"
            ));
        }
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri =
            full.parse().map_err(|error| format!("`{url}` is not an address: {error}; {example}"))?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("`{url}` is not an address of http: {example}"));
        };
        if !matches!(uri.path(), "" | "/" | "/snapshot") {
            return Err(format!("`{url}` has a path: give the agent's address only, {example}"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        Ok(Agent {
            host,
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
            authority: authority.to_string(),
        })
    }

    /// `host:port` as it was given.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The bytes of a snapshot taken now. They are not looked at.
    ///
    /// # Errors
    /// A sentence that says what happened and what to do: nothing listens, the token is refused,
    /// no answer `within` the time.
    pub async fn snapshot(&self, token: Option<&str>, within: Duration) -> Result<Bytes, String> {
        timeout(within, self.get(token)).await.unwrap_or_else(|_| {
            let within = human::duration(within.as_nanos() as u64);
            Err(format!(
                "{} did not answer within {within}: try again, or give it longer with `diag snap --timeout`",
                self.authority
            ))
        })
    }

    async fn get(&self, token: Option<&str>) -> Result<Bytes, String> {
        let failed = |error: hyper::Error| {
            format!("no answer from {}: {error}; is it the address of an agent?", self.authority)
        };
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // The connection ends with the last of the answer, and then this task does.
        tokio::spawn(connection);
        let response = sender.send_request(self.request(token)?).await.map_err(failed)?;
        self.body(response).await
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let next = "is the service running, and is its agent on that port? it logs the address when it starts (`DIAG_ADDR`)";
        match timeout(CONNECT_WITHIN, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!("nothing listens at {}: {error}; {next}", self.authority)),
            Err(_) => Err(format!("cannot reach {}: {next}", self.authority)),
        }
    }

    fn request(&self, token: Option<&str>) -> Result<Request<Empty<Bytes>>, String> {
        let mut request = Request::get("/snapshot").header(HOST, &self.authority);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Empty::new()).map_err(|_| "the token has characters that no header can carry".to_owned())
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, String> {
        let authority = &self.authority;
        match response.status() {
            StatusCode::OK => {
                let answer = Limited::new(response.into_body(), LARGEST_ANSWER_BYTES).collect().await;
                let answer = answer
                    .map_err(|error| format!("the answer of {authority} broke off: {error}; try again"));
                Ok(answer?.to_bytes())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(format!("{authority} refuses: give its token with `--token` or DIAG_TOKEN"))
            }
            StatusCode::NOT_FOUND => {
                Err(format!("{authority} has no /snapshot: is it the address of an agent?"))
            }
            status => Err(format!("{authority} answers {status} to /snapshot: see the log of the service")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<(&str, u16), &str>) {
        match (Agent::parse(url), expected) {
            (Ok(agent), Ok(expected)) => assert_eq!((agent.host.as_str(), agent.port), expected, "{url}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{url}: {error}"),
            (parsed, _) => panic!("{url}: {parsed:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("127.0.0.1:9797", Ok(("127.0.0.1", 9797)));
        check("http://127.0.0.1:9798/", Ok(("127.0.0.1", 9798)));
        check("http://localhost:9798/snapshot", Ok(("localhost", 9798)));
        check("localhost", Ok(("localhost", 9797)));
        check("http://[::1]:80", Ok(("::1", 80)));
        check("https://127.0.0.1:9797", Err("plain http"));
        check("ftp://127.0.0.1", Err("not an address of http"));
        check("http://127.0.0.1:9797/dump", Err("has a path"));
        check("", Err("not an address"));
        check("a b", Err("not an address"));
    }
}
