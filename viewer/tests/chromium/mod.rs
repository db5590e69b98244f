//! A headless Chromium that is told what to do over two pipes, in its DevTools protocol: keys are pressed, pages loaded and asked.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it and uses its own part")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What makes no progress for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// Noted by each page of ours, whatever its policy: what the browser refused to do.
const WATCH: &str = "globalThis.violations = []; addEventListener('securitypolicyviolation', \
     event => violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`)); \
     globalThis.failures = []; addEventListener('error', event => failures.push(event.message)); \
     addEventListener('unhandledrejection', event => failures.push(String(event.reason)));";

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    next_id: u64,
}

/// The browser of this machine, if there is one.
pub fn installed() -> Option<&'static Path> {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(Path::new);
    known.into_iter().find(|path| path.exists())
}

impl Browser {
    pub fn start(program: &Path, profile: &Path) -> Self {
        // The protocol wants descriptors 3 and 4, which only a shell gives without unsafe code.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--remote-debugging-pipe", "--hide-scrollbars", "--window-size=1400,1000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser runs");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut browser = Browser { child, to, from, session: String::new(), next_id: 0 };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        browser.call("Page.enable", json!({}));
        browser.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
        browser
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer).expect("the browser answers");
            assert_eq!(answer.pop(), Some(0), "the browser ended at {method}");
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            if answer["id"] == json!(self.next_id) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// What an expression is worth in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    pub fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(&format!("Boolean({expression})")) != json!(true) {
            if start.elapsed() > PATIENCE {
                let page = self.text("location.href + '\\n' + document.body.innerText");
                panic!("never true: {expression}\n{page}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Loads a page, and waits until all of it is there.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        let (target, soon) =
            (json!(url), "document.querySelector('meta[http-equiv=refresh][content=\"2\"]')");
        self.until(&format!("document.readyState === 'complete' && location.href === {target} && !{soon}"));
    }

    /// As [`open`](Self::open), of a page with a flamegraph.
    pub fn open_flame(&mut self, url: &str) {
        self.open(url);
        self.until("document.querySelector('.flame')?.dataset.ready");
    }

    /// Presses a key, and lets it go.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = match key {
            "Enter" => Some("\r"),
            key if key.chars().count() == 1 => Some(key),
            _ => None,
        };
        let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if let Some(text) = text {
            down["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up);
    }

    pub fn write(&mut self, text: &str) {
        text.chars().for_each(|char| self.press(&char.to_string()));
    }

    /// Goes back as the button of the browser does.
    pub fn back(&mut self) {
        self.value("history.back()");
    }

    /// Nothing was refused and nothing failed on this page.
    pub fn check_clean(&mut self, when: &str) {
        assert_eq!(self.value("violations"), json!([]), "refused {when}");
        assert_eq!(self.value("failures"), json!([]), "failed {when}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its own processes along; who started it is at the other end of the pipes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
