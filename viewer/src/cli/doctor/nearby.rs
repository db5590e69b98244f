//! Who else may have been meant: agents at the next ports, and processes of this machine that were told to have none.

use std::fs;
use std::path::Path;
use std::time::Duration;

use diag_analysis::doctor::Complaint;
use diag_viewer::agent::{Agent, Presence};

/// An agent whose port is busy takes one of so many that follow.
const NEXT_PORTS: u16 = 16;
const USUAL_PORT: u16 = 9797;
const WITHIN: Duration = Duration::from_secs(1);
/// So many processes are told.
const MOST_PROCESSES: usize = 64;

/// Agents on the same host, at ports where one that was asked for here may have gone.
pub(super) async fn agents(asked: &Agent) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut ports: Vec<u16> = [asked.port(), USUAL_PORT]
        .into_iter()
        .flat_map(|port| port..=port.saturating_add(NEXT_PORTS))
        .collect();
    ports.sort_unstable();
    ports.dedup();
    for port in ports.into_iter().filter(|&port| port != asked.port()) {
        let agent = asked.at_port(port);
        if matches!(agent.presence(None, WITHIN).await, Presence::Agent | Presence::WantsToken) {
            let found_at = agent.authority().to_owned();
            found.push(Complaint::OtherPort { address: asked.authority().to_owned(), found: found_at });
        }
    }
    found
}

/// Processes of this user's, as far as the system tells, whose environment closes the agent.
pub(super) fn processes_off() -> Vec<Complaint> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    let pid = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let mut pids: Vec<u32> = folder.filter_map(pid).collect();
    // Those that were started last are more likely meant.
    pids.sort_unstable_by(|a, b| b.cmp(a));
    pids.into_iter().filter_map(of_process).take(MOST_PROCESSES).collect()
}

fn of_process(pid: u32) -> Option<Complaint> {
    let folder = Path::new("/proc").join(pid.to_string());
    // It has our own variables.
    if pid == std::process::id() {
        return None;
    }
    let environment = fs::read(folder.join("environ")).ok()?;
    let variable = environment.split(|byte| *byte == 0).find_map(closing)?;
    let program = fs::read_to_string(folder.join("comm")).ok()?.trim().to_owned();
    Some(Complaint::ProcessOff { pid, program, variable })
}

/// The variable, if it closes the agent.
fn closing(variable: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(variable).ok()?;
    let (name, value) = text.split_once('=')?;
    let is_off = ["off", "0", "false"].iter().any(|off| value.eq_ignore_ascii_case(off));
    (is_off && ["DIAG", "DIAG_ADDR"].contains(&name)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_variables_close_the_agent() {
        for (variable, closes) in [
            ("DIAG=off", true),
            ("DIAG=OFF", true),
            ("DIAG_ADDR=off", true),
            ("DIAG=on", false),
            ("DIAG_HEAP=off", false),
            ("PATH=/bin", false),
            ("", false),
        ] {
            assert_eq!(closing(variable.as_bytes()).is_some(), closes, "{variable}");
        }
    }
}
