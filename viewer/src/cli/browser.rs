//! The default browser of this machine, told to open a page.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;

/// Opens the pages at an address. A token would stand in the list of processes, for all who use the machine to see, so with one
/// nothing is opened.
///
/// # Errors
/// A sentence with what to do instead.
pub(super) fn open(addr: SocketAddr, has_token: bool) -> Result<(), String> {
    let instead = "open the address above yourself";
    if has_token {
        return Err(format!(
            "no browser is opened, as the token would be seen in the list of processes: {instead}"
        ));
    }
    let [program, arguments @ ..] = opener();
    let mut command = Command::new(program);
    command.args(arguments.iter().filter(|argument| !argument.is_empty())).arg(url(addr));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        command.spawn().map_err(|error| format!("cannot open a browser ({program}: {error}): {instead}"))?;
    // Some wait for as long as their browser is open.
    thread::spawn(move || {
        if let Ok(status) = child.wait()
            && !status.success()
        {
            super::output::note(&format!("no browser was opened ({program}: {status}): {instead}"));
        }
    });
    Ok(())
}

/// What the system opens addresses with.
fn opener() -> [&'static str; 4] {
    if cfg!(windows) {
        // The first argument that `start` finds in quotes is the title of a window.
        ["cmd", "/c", "start", "diag"]
    } else if cfg!(target_os = "macos") {
        ["open", "", "", ""]
    } else {
        ["xdg-open", "", "", ""]
    }
}

/// Who listens everywhere is reached on this machine.
fn url(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}/", SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_one_that_a_browser_reaches() {
        for (addr, expected) in [
            ("127.0.0.1:9898", "http://127.0.0.1:9898/"),
            ("0.0.0.0:1", "http://127.0.0.1:1/"),
            ("[::]:1", "http://[::1]:1/"),
            ("192.0.2.7:80", "http://192.0.2.7:80/"),
        ] {
            assert_eq!(url(addr.parse().expect("an address")), expected);
        }
    }
}
