//! `diag serve --open`: the default browser is told, once there is something to see, and never a token.
#![cfg(all(unix, not(target_os = "macos")))]

mod site;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use site::Folder;

/// A viewer that runs until the test ends.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `diag serve --open` with this in place of the system's opener, or none; what it says, and where it listens.
fn serve(folder: &Folder, opener: Option<&str>, args: &[&str], lines: usize) -> (Serving, Vec<String>) {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).expect("a folder");
    if let Some(script) = opener {
        let path = bin.join("xdg-open");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_diag"));
    command.args(["serve", "--open", "--addr", "127.0.0.1:0"]).args(args).arg(&**folder);
    let path =
        if opener.is_some() { format!("{}:/usr/bin:/bin", bin.display()) } else { bin.display().to_string() };
    let mut child =
        command.env("PATH", path).env_remove("DIAG_TOKEN").stderr(Stdio::piped()).spawn().expect("it runs");
    let said = BufReader::new(child.stderr.take().expect("a pipe")).lines().take(lines);
    let said = said.map(|line| line.expect("text")).collect();
    (Serving(child), said)
}

fn address(said: &[String]) -> String {
    let rest = said[0].split("http://").nth(1).unwrap_or_else(|| panic!("no address: {said:?}"));
    rest.split('/').next().expect("an address").to_owned()
}

/// Asks it for a page.
fn answers(address: &str) -> bool {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer.ends_with("ok\n")
}

#[test]
fn the_browser_gets_the_address_once_it_answers() {
    let folder = Folder::new("open");
    let (told, heard) = (folder.join("told"), folder.join("heard"));
    // The browser of this test: notes what it is told, and whether anybody listens there already.
    let opener = format!(
        "address=${{1#http://}}; address=${{address%/}}\n(exec 3<>\"/dev/null\") ; echo \"$@\" > {}.part; \
         bash -c \"exec 3<>/dev/tcp/${{address%:*}}/${{address##*:}}\" && echo yes > {}; mv {}.part {}",
        told.display(),
        heard.display(),
        told.display(),
        told.display()
    );
    let (_serving, said) = serve(&folder, Some(&opener), &[], 1);
    let address = address(&said);
    for _ in 0..500 {
        if told.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_to_string(&told).expect("it was told"), format!("http://{address}/\n"));
    assert_eq!(fs::read_to_string(&heard).unwrap_or_default(), "yes\n", "it listened");
    assert!(answers(&address));
}

#[test]
fn without_a_browser_it_says_so_and_goes_on() {
    let folder = Folder::new("open-none");
    let (_serving, said) = serve(&folder, None, &[], 2);
    assert!(
        said[1].contains("cannot open a browser (xdg-open: ") && said[1].contains("yourself"),
        "{said:?}"
    );
    assert!(answers(&address(&said)));
    let failing = Folder::new("open-fails");
    let (_serving, said) = serve(&failing, Some("exit 3"), &[], 2);
    assert!(said[1].contains("no browser was opened (xdg-open: exit status: 3)"), "{said:?}");
    assert!(answers(&address(&said)));
}

#[test]
fn a_token_is_in_no_list_of_processes() {
    let folder = Folder::new("open-token");
    let told = folder.join("told");
    let (_serving, said) =
        serve(&folder, Some(&format!("echo \"$@\" > {}", told.display())), &["--token", "hush"], 2);
    assert!(said[1].contains("no browser is opened, as the token would be seen"), "{said:?}");
    thread::sleep(Duration::from_millis(300));
    assert!(!told.exists(), "{:?}", fs::read_to_string(&told));
}
