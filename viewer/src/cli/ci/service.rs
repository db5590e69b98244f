//! The service that is watched: a child of this process, which ends with it.

use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use diag_analysis::human;
use diag_viewer::agent::{Agent, Presence};

use super::super::exit::Failure;

/// What diag says when its agent listens, wherever the service's log puts it.
const LISTENS: &str = "the agent listens on http://";
/// A service that is asked to end may take so long.
const TO_END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
const WITHIN: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Service {
    child: Child,
    said: Receiver<Agent>,
}

impl Service {
    /// Starts it; unless its address is known, at any free port.
    pub(super) fn start(command: &[String], any_port: bool) -> Result<Self, Failure> {
        let [program, arguments @ ..] = command else {
            return Err(Failure::Usage("give the service after `--`".to_owned()));
        };
        let mut start = Command::new(program);
        start.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if any_port {
            start.env("DIAG_ADDR", "127.0.0.1:0");
        }
        let mut child = start
            .spawn()
            .map_err(|error| Failure::Usage(format!("cannot start {}: {error}", human::name(program))))?;
        let (says, said) = channel();
        if let Some(out) = child.stdout.take() {
            hand_on(out, says.clone());
        }
        if let Some(err) = child.stderr.take() {
            hand_on(err, says);
        }
        Ok(Service { child, said })
    }

    /// Its agent, once that answers.
    pub(super) fn agent(&mut self, known: Option<Agent>, wait: Duration) -> Result<Agent, Failure> {
        let until = Instant::now() + wait;
        match known {
            Some(agent) => self.wait_for(agent, until),
            None => self.wait_to_say(until),
        }
    }

    fn wait_to_say(&mut self, until: Instant) -> Result<Agent, Failure> {
        loop {
            match self.said.recv_timeout(PAUSE) {
                Ok(agent) => return self.wait_for(agent, until),
                // All that it said was read; whether it has ended is seen below.
                Err(RecvTimeoutError::Disconnected) => sleep(PAUSE),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.check_alive()?;
            if Instant::now() >= until {
                return Err(Failure::Unreadable(format!(
                    "the service did not say `{LISTENS}..`: does it call `diag::init()`, and is its agent on? where it says so \
                     to nobody, give the address with --url"
                )));
            }
        }
    }

    fn wait_for(&mut self, agent: Agent, until: Instant) -> Result<Agent, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
        let token = std::env::var("DIAG_TOKEN").ok();
        loop {
            match runtime.block_on(agent.presence(token.as_deref(), WITHIN)) {
                Presence::Agent => return Ok(agent),
                Presence::WantsToken => {
                    let at = agent.authority();
                    return Err(Failure::Unreadable(format!("{at} refuses: give its token in DIAG_TOKEN")));
                }
                Presence::Nobody | Presence::Other(_) if Instant::now() < until => {}
                Presence::Nobody | Presence::Other(_) => {
                    let at = agent.authority();
                    return Err(Failure::Unreadable(format!("no agent answers at {at}: give another --url")));
                }
            }
            self.check_alive()?;
            sleep(PAUSE);
        }
    }

    /// A service that ended by itself cannot be asked any more.
    pub(super) fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(Failure::Unreadable(format!(
                "the service ended by itself ({status}): see what it said, and give it what keeps it running"
            ))),
            _ => Ok(()),
        }
    }

    /// Asks it to end, and ends it if it does not.
    pub(super) fn end(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let until = Instant::now() + TO_END;
        while asked.as_ref().is_ok_and(|status| status.success()) && Instant::now() < until {
            match self.child.try_wait() {
                Ok(None) => sleep(PAUSE),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Hands on what the service says, and tells of the address when it is said.
fn hand_on(from: impl Read + Send + 'static, says: Sender<Agent>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if let Some(agent) = agent_in(&String::from_utf8_lossy(&line)) {
                // Nobody waits for it any more if it moved.
                let _ = says.send(agent);
            }
            let _ = stderr().write_all(&line);
            line.clear();
        }
    });
}

fn agent_in(line: &str) -> Option<Agent> {
    let (_, rest) = line.split_once(LISTENS)?;
    let is_part = |char: char| char.is_ascii_alphanumeric() || ".:[]".contains(char);
    let end = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
    Agent::parse(rest[..end].trim_end_matches(['.', ':'])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_any_log() {
        for (line, expected) in [
            ("diag: the agent listens on http://127.0.0.1:43121\n", Some("127.0.0.1:43121")),
            (
                "diag: 127.0.0.1:9797 is busy; the agent listens on http://127.0.0.1:9798\n",
                Some("127.0.0.1:9798"),
            ),
            (
                "{\"message\":\"the agent listens on http://[::1]:9797\",\"level\":\"INFO\"}",
                Some("[::1]:9797"),
            ),
            ("listening on http://127.0.0.1:8080", None),
        ] {
            assert_eq!(agent_in(line).as_ref().map(Agent::authority), expected, "{line}");
        }
    }
}
