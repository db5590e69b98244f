//! The agent inside of a running service, asked for a snapshot over HTTP.
//!
//! Used by `diag snap` and by the viewer. There is no TLS: the agent listens on loopback as a rule, and a
//! tunnel brings it to another machine.

use std::net::IpAddr;
use std::time::Duration;

use diag_analysis::human;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const LARGEST_ANSWER_BYTES: usize = 4 << 30;
/// What an agent says why it cannot is a sentence.
const LARGEST_REFUSAL_BYTES: usize = 4 << 10;
const DEFAULT_PORT: u16 = 9797;

/// Who is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// An agent, which takes the token.
    Agent,
    /// An agent that wants a token, or another one.
    WantsToken,
    /// Nobody listens.
    Nobody,
    /// Somebody else, who says this.
    Other(String),
}

/// Why a question was not answered.
enum Unasked {
    Nobody,
    NoHttp(String),
}

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    host: String,
    port: u16,
    /// `host:port`, as it was given or with the default port.
    authority: String,
}

impl Agent {
    /// The agent at `http://127.0.0.1:9797` or `127.0.0.1:9797`.
    ///
    /// # Errors
    /// Which part of the address is wrong and how to write it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("`{url}`: {what}; write it like `http://127.0.0.1:9797`");
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        if scheme.eq_ignore_ascii_case("https") {
            return Err(wrong(
                "the agent speaks plain http, not https (a tunnel brings it to another machine)".into(),
            ));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(wrong(format!("`{scheme}://` is not an address of http")));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/" | "/snapshot") {
            return Err(wrong(format!("it has a path, `{path}`: give the agent's address only")));
        }
        if authority.contains('@') {
            return Err(wrong(
                "it has a user in front of the `@`: the agent knows none, give a token with `--token`".into(),
            ));
        }
        let (host, port) = host_and_port(authority).map_err(wrong)?;
        // What no request can name is no host.
        if host.is_empty() || authority.parse::<Authority>().is_err() {
            return Err(wrong(format!("`{host}` is not the name or address of a machine")));
        }
        Ok(Agent {
            host: host.to_owned(),
            port: port.unwrap_or(DEFAULT_PORT),
            authority: match port {
                Some(_) => authority.to_owned(),
                None => format!("{authority}:{DEFAULT_PORT}"),
            },
        })
    }

    /// `host:port`, as it was given or with the default port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The bytes of a snapshot taken now. They are not looked at. With `ask` the agent has idle tasks of the service
    /// polled, to show where they are parked, which is for people to decide.
    ///
    /// # Errors
    /// A sentence that says what happened and what to do: nothing listens, the token is refused,
    /// no answer `within` the time.
    pub async fn snapshot(&self, token: Option<&str>, within: Duration, ask: bool) -> Result<Bytes, String> {
        self.get_within(within, token, if ask { "/snapshot?ask=1" } else { "/snapshot" }).await
    }

    /// The bytes of a snapshot that also says who waits in what and who points there, for which the service's memory is swept:
    /// for people to decide. An agent that is older than this question answers without that.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    pub async fn holders(&self, token: Option<&str>, within: Duration) -> Result<Bytes, String> {
        self.get_within(within, token, "/snapshot?holders=1").await
    }

    /// A CPU profile of so many seconds, for pprof. They are waited for, and `within` besides.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), and if the service cannot take one.
    pub(crate) async fn cpu_profile(
        &self,
        token: Option<&str>,
        within: Duration,
        seconds: u64,
    ) -> Result<Bytes, String> {
        let within = within.saturating_add(Duration::from_secs(seconds));
        self.get_within(within, token, &format!("/debug/pprof/profile?seconds={seconds}")).await
    }

    /// The bytes of a snapshot of tasks and resources alone, which costs the service a part of a whole one. An agent that is older
    /// than this question answers with all.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    #[cfg(feature = "console")]
    pub(crate) async fn tasks(&self, token: Option<&str>, within: Duration) -> Result<Bytes, String> {
        self.get_within(within, token, "/snapshot?only=tasks").await
    }

    async fn get_within(&self, within: Duration, token: Option<&str>, path: &str) -> Result<Bytes, String> {
        timeout(within, self.get(token, path)).await.unwrap_or_else(|_| {
            let within = human::duration(within.as_nanos() as u64);
            Err(format!(
                "{} did not answer within {within}: try again, or give it longer with `diag snap --timeout`",
                self.authority
            ))
        })
    }

    /// The agent at another port of the same host.
    pub fn at_port(&self, port: u16) -> Self {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        Agent { host: self.host.clone(), port, authority: format!("{host}:{port}") }
    }

    /// The port that it is asked at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if it is asked on this machine.
    pub fn is_local(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    /// What becomes of the question whether an agent is there, which costs the service nothing.
    pub async fn presence(&self, token: Option<&str>, within: Duration) -> Presence {
        let asked = timeout(within, self.ask("/healthz", token)).await;
        match asked {
            Err(_) => {
                Presence::Other(format!("no answer within {}", human::duration(within.as_nanos() as u64)))
            }
            Ok(Err(Unasked::Nobody)) => Presence::Nobody,
            Ok(Err(Unasked::NoHttp(why))) => Presence::Other(why),
            Ok(Ok(response)) => match response.status() {
                StatusCode::UNAUTHORIZED => Presence::WantsToken,
                StatusCode::OK => self.greeting(response).await,
                status => Presence::Other(format!("{status} to /healthz")),
            },
        }
    }

    async fn greeting(&self, response: Response<Incoming>) -> Presence {
        const LONGEST: usize = 64 << 10;
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        match body.is_ok_and(|body| body.to_bytes().starts_with(b"ok\n")) {
            true => Presence::Agent,
            false => Presence::Other("another text than `ok` to /healthz".to_owned()),
        }
    }

    async fn ask(&self, path: &str, token: Option<&str>) -> Result<Response<Incoming>, Unasked> {
        let stream = self.connect().await.map_err(|_| Unasked::Nobody)?;
        let no_http = |error: hyper::Error| Unasked::NoHttp(format!("no HTTP ({error})"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_http)?;
        tokio::spawn(connection);
        let request = self.request(token, path).map_err(Unasked::NoHttp)?;
        sender.send_request(request).await.map_err(no_http)
    }

    /// Sees whether anybody listens, and asks for nothing.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot), if nobody does or it takes too long.
    pub async fn knock(&self, within: Duration) -> Result<(), String> {
        let silent = || Err(format!("{} does not answer", self.authority));
        timeout(within, self.connect()).await.unwrap_or_else(|_| silent()).map(drop)
    }

    async fn get(&self, token: Option<&str>, path: &str) -> Result<Bytes, String> {
        let failed = |error: hyper::Error| {
            format!("no answer from {}: {error}; is it the address of an agent?", self.authority)
        };
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // The connection ends with the last of the answer, and then this task does.
        tokio::spawn(connection);
        let response = sender.send_request(self.request(token, path)?).await.map_err(failed)?;
        self.body(response, path).await
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let next = "is the service running, and is its agent on that port? it logs the address when it starts (`DIAG_ADDR`)";
        match timeout(CONNECT_WITHIN, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!("nothing listens at {}: {error}; {next}", self.authority)),
            Err(_) => Err(format!("cannot reach {}: {next}", self.authority)),
        }
    }

    fn request(&self, token: Option<&str>, path: &str) -> Result<Request<Empty<Bytes>>, String> {
        let mut request = Request::get(path).header(HOST, &self.authority);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        request.body(Empty::new()).map_err(|_| "the token has characters that no header can carry".to_owned())
    }

    async fn body(&self, response: Response<Incoming>, path: &str) -> Result<Bytes, String> {
        let authority = &self.authority;
        let path = path.split_once('?').map_or(path, |(path, _)| path);
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
            StatusCode::SERVICE_UNAVAILABLE => {
                Err(format!("too many ask {authority} at once: try again in a moment"))
            }
            status @ (StatusCode::NOT_FOUND | StatusCode::CONFLICT) if path != "/snapshot" => {
                let said = Limited::new(response.into_body(), LARGEST_REFUSAL_BYTES).collect().await;
                let said = said.map(|said| String::from_utf8_lossy(&said.to_bytes()).trim().to_owned());
                Err(format!(
                    "{authority} answers {status} to {path}: {}",
                    human::name(&said.unwrap_or_default())
                ))
            }
            StatusCode::NOT_FOUND => {
                Err(format!("{authority} has no {path}: is it the address of an agent?"))
            }
            status => Err(format!("{authority} answers {status} to {path}: see the log of the service")),
        }
    }
}

/// The host without the brackets of IPv6, and the port if there is one.
fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if authority.matches(':').count() > 1 => {
            return Err("an address of IPv6 stands in brackets, as `[::1]:9797`".to_owned());
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    match port.map(|port| (port, port.parse())) {
        None => Ok((host, None)),
        Some((_, Ok(number))) if number > 0 => Ok((host, Some(number))),
        Some(("", _)) => Err("the port after the `:` is missing".to_owned()),
        Some((port, _)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            Err(format!("there is no port {port}, ports are 1 to {}", u16::MAX))
        }
        Some((port, _)) => Err(format!("`{port}` is not a port, ports are 1 to {}", u16::MAX)),
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
        check("HTTP://localhost:9798/snapshot", Ok(("localhost", 9798)));
        check("localhost", Ok(("localhost", 9797)));
        check("http://[::1]:80", Ok(("::1", 80)));
        check("[::1]", Ok(("::1", 9797)));
        check("https://127.0.0.1:9797", Err("plain http"));
        check("HTTPS://127.0.0.1:9797", Err("plain http"));
        check("ftp://127.0.0.1", Err("`ftp://` is not an address of http"));
        check("http://127.0.0.1:9797/dump", Err("has a path, `/dump`"));
        check("http://127.0.0.1:9797?x", Err("has a path, `?x`"));
        check("127.0.0.1:96390", Err("there is no port 96390, ports are 1 to 65535"));
        check("http://127.0.0.1:65536/", Err("there is no port 65536"));
        check("127.0.0.1:0", Err("there is no port 0"));
        check("127.0.0.1:99999999999999999999", Err("there is no port 9999"));
        check("[::1]:96390", Err("there is no port 96390"));
        check("127.0.0.1:", Err("the port after the `:` is missing"));
        check("127.0.0.1:http", Err("`http` is not a port"));
        check("[::1]x", Err("`x` is not a port"));
        check("::1:9797", Err("in brackets"));
        check("http://me@127.0.0.1:9797", Err("`--token`"));
        check("", Err("`` is not the name"));
        check(":9797", Err("`` is not the name"));
        check("a b", Err("`a b` is not the name"));
        check("http://", Err("`` is not the name"));
    }
}
