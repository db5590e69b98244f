//! Where the agent listens, for whom, and what it says of it on stderr: the service's owner reads it there.
//!
//! The service is this test program itself, told by a variable to run "is a service" alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use diag_test_support::http::get_with;

const SERVICE: &str = "TEST_IS_A_SERVICE";

/// Not a test of its own: a service that runs until its stdin ends.
#[test]
fn is_a_service() {
    if std::env::var_os(SERVICE).is_none() {
        return;
    }
    diag::init();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { diag::spawn(async {}).await }).unwrap();
    writeln!(std::io::stdout(), "the service works").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn service(vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "is_a_service", "--nocapture"]).env(SERVICE, "1").envs(vars.iter().copied());
    command.stdout(Stdio::piped());
    command
}

/// A service with these variables, and what it says on stderr.
struct Service {
    process: Child,
    says: BufReader<ChildStderr>,
}

impl Service {
    fn start(vars: &[(&str, &str)]) -> Self {
        let mut process = service(vars).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(process.stderr.take().unwrap());
        Service { process, says }
    }

    /// Reads what it says until it tells where the agent listens.
    fn addr(&mut self) -> (SocketAddr, String) {
        let mut said = String::new();
        while self.says.read_line(&mut said).unwrap() > 0 {
            let line = said.lines().last().unwrap();
            if let Some((_, addr)) = line.split_once("diag: the agent listens on http://") {
                return (addr.parse().unwrap(), said);
            }
        }
        panic!("no agent: {said}");
    }

    /// Ends it, which it does by itself, and tells what else it said.
    fn end(mut self) -> String {
        drop(self.process.stdin.take());
        let mut said = String::new();
        self.says.read_to_string(&mut said).unwrap();
        let output = self.process.wait_with_output().unwrap();
        let works = String::from_utf8(output.stdout).unwrap().contains("the service works");
        assert!(output.status.success() && works, "{said}");
        said
    }
}

/// The status for a caller that comes by another name.
fn status(addr: SocketAddr, headers: &str) -> u16 {
    let addr = SocketAddr::from(([127, 0, 0, 1], addr.port()));
    get_with(addr, "/healthz", &format!("Host: svc.cluster.local:9797\r\n{headers}")).status
}

#[test]
fn on_loopback_it_listens_and_says_where_once() {
    let mut service = Service::start(&[("DIAG_ADDR", "127.0.0.1:0")]);
    let (addr, said) = service.addr();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(status(addr, ""), 403);
    assert_eq!(get_with(addr, "/healthz", "Host: localhost\r\n").status, 200);
    assert_eq!(service.end(), "");
}

#[test]
fn off_loopback_it_asks_for_a_token_or_does_not_start() {
    for vars in [&[("DIAG_ADDR", "0.0.0.0:0")][..], &[("DIAG_ADDR", "[::]:0"), ("DIAG_TOKEN", " ")]] {
        let said = Service::start(vars).end();
        assert!(said.contains("does not listen on ") && said.contains("DIAG_OPEN=1"), "{said}");
        assert!(!said.contains("the agent listens"), "{said}");
    }
    let mut service = Service::start(&[("DIAG_ADDR", "0.0.0.0:0"), ("DIAG_TOKEN", "hush\n")]);
    let (addr, _) = service.addr();
    assert_eq!(status(addr, ""), 401);
    assert_eq!(status(addr, "Authorization: bearer hush\r\n"), 200);
    assert_eq!(service.end(), "");
    let mut service = Service::start(&[("DIAG_ADDR", "0.0.0.0:0"), ("DIAG_OPEN", "1")]);
    let (addr, _) = service.addr();
    assert_eq!(status(addr, ""), 200);
    assert_eq!(status(addr, "Sec-Fetch-Site: cross-site\r\n"), 403);
    service.end();
}

#[test]
fn an_empty_token_is_none_and_is_told() {
    let mut service = Service::start(&[("DIAG_ADDR", "127.0.0.1:0"), ("DIAG_TOKEN", "")]);
    let (addr, said) = service.addr();
    assert!(said.contains("diag: DIAG_TOKEN is empty, which counts as not set\n"), "{said}");
    assert_eq!(get_with(addr, "/healthz", "Host: localhost\r\n").status, 200);
    service.end();
}

#[test]
fn nobody_has_to_read_what_it_says() {
    // `eprintln` panics where the other end of stderr is closed.
    let (reader, unread) = std::io::pipe().unwrap();
    drop(reader);
    let output = service(&[("DIAG_ADDR", "127.0.0.1:0"), ("DIAG_NONSENSE", "1")])
        .stdin(Stdio::null())
        .stderr(unread)
        .output()
        .unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && says.contains("the service works"), "{says}");
}
