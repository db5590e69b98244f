//! How much memory this process has.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Anonymous memory, bytes.
pub fn anonymous_bytes() -> i64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the key is there");
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse::<i64>().ok()).expect("a number") << 10
}

/// Anonymous memory once it is down to what is expected, or what it is after a while.
pub fn settled(expected: i64) -> i64 {
    let started = Instant::now();
    loop {
        let now = anonymous_bytes();
        if now <= expected || started.elapsed() > Duration::from_secs(3) {
            return now;
        }
        sleep(Duration::from_millis(5));
    }
}
