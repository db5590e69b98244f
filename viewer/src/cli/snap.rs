//! `diag snap URL -o FILE`: fetches a snapshot from the agent inside of a running service.
//!
//! The bytes are read back before they are written, so a file that exists is a snapshot. There is
//! no TLS: the agent listens on loopback, and a tunnel brings it to another machine.

use std::path::PathBuf;
use std::time::Duration;

use diag_snapshot::{file, human};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exit::{End, Failure};
use super::output::{Format, Output, print};
use super::progress::Progress;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const LARGEST_ANSWER_BYTES: usize = 4 << 30;
const DEFAULT_PORT: u16 = 9797;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The agent's address: `http://127.0.0.1:9797` or `127.0.0.1:9797`
    url: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The service's DIAG_TOKEN, if it has one; default: the same variable here
    #[arg(long, env = "DIAG_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<End, Failure> {
    let agent = Agent::parse(&args.url).map_err(Failure::Usage)?;
    let progress = Progress::of(format!("waiting for {}", agent.authority));
    let bytes = fetch(&agent, args)?;
    drop(progress);
    let (snapshot, damages) = diag_snapshot::read(&bytes).map_err(|error| {
        Failure::Unreadable(format!("the answer of {} is no snapshot: {error}", agent.authority))
    })?;
    if let Some(damage) = damages.first() {
        return Err(Failure::Unreadable(format!("the answer of {} is damaged: {damage}", agent.authority)));
    }
    file::write(&args.output, &bytes).map_err(|error| Failure::Unreadable(error.to_string()))?;
    if output.format == Format::Text {
        print(&format!(
            "{}: {} tasks of {}, {}\n",
            args.output.display(),
            human::count(snapshot.tasks.len() as u64),
            human::name(&snapshot.process.service),
            human::bytes(bytes.len() as u64),
        ))?;
    }
    Ok(End::Clean)
}

/// Where an agent listens.
#[derive(Debug, PartialEq, Eq)]
struct Agent {
    host: String,
    port: u16,
    /// `host:port` as it was given.
    authority: String,
}

impl Agent {
    fn parse(url: &str) -> Result<Self, String> {
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
}

fn fetch(agent: &Agent, args: &Args) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
    let within = Duration::from_secs(args.timeout);
    let answer = runtime.block_on(async {
        timeout(within, get(agent, args.token.as_deref())).await.unwrap_or_else(|_| {
            Err(format!(
                "{} did not answer within {}: give it longer with `--timeout`",
                agent.authority,
                human::duration(within.as_nanos() as u64)
            ))
        })
    });
    answer.map_err(Failure::Unreadable)
}

async fn get(agent: &Agent, token: Option<&str>) -> Result<Bytes, String> {
    let failed = |error: hyper::Error| {
        format!("no answer from {}: {error}; is it the address of an agent?", agent.authority)
    };
    let stream = connect(agent).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // The connection ends with the last of the answer, and then this task does.
    tokio::spawn(connection);
    let response = sender.send_request(request(agent, token)?).await.map_err(failed)?;
    body(agent, response).await
}

async fn connect(agent: &Agent) -> Result<TcpStream, String> {
    let next = "is the service running, and is its agent on that port? it logs the address when it starts (`DIAG_ADDR`)";
    match timeout(CONNECT_WITHIN, TcpStream::connect((agent.host.as_str(), agent.port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("nothing listens at {}: {error}; {next}", agent.authority)),
        Err(_) => Err(format!("cannot reach {}: {next}", agent.authority)),
    }
}

fn request(agent: &Agent, token: Option<&str>) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get("/snapshot").header(HOST, &agent.authority);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Empty::new()).map_err(|_| "the token has characters that no header can carry".to_owned())
}

async fn body(agent: &Agent, response: Response<Incoming>) -> Result<Bytes, String> {
    match response.status() {
        StatusCode::OK => {
            let answer = Limited::new(response.into_body(), LARGEST_ANSWER_BYTES).collect().await;
            let answer = answer
                .map_err(|error| format!("the answer of {} broke off: {error}; try again", agent.authority));
            Ok(answer?.to_bytes())
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(format!("{} refuses: give its token with `--token` or DIAG_TOKEN", agent.authority))
        }
        StatusCode::NOT_FOUND => {
            Err(format!("{} has no /snapshot: is it the address of an agent?", agent.authority))
        }
        status => {
            Err(format!("{} answers {status} to /snapshot: see the log of the service", agent.authority))
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
