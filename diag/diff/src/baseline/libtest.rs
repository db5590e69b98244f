//! Test events as `cargo test -- -Z unstable-options --format json` prints them, a JSON object a line; other lines are skipped.

use serde::Deserialize;

use super::run::TestResult;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    event: String,
    name: Option<String>,
    exec_time: Option<f64>,
}

pub(super) fn results(text: &str) -> Vec<TestResult> {
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let result = |event: Event| {
        let failures = match (event.kind.as_str(), event.event.as_str()) {
            ("test", "ok") => 0,
            ("test", "failed" | "timeout") => 1,
            _ => return None,
        };
        let time_s = event.exec_time.filter(|time| time.is_finite() && *time >= 0.0);
        Some(TestResult { name: event.name?, time_s, failures })
    };
    events.filter_map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_and_all_else_is_skipped() {
        let text = r#"running 2 tests
{ "type": "suite", "event": "started", "test_count": 2 }
{ "type": "test", "event": "started", "name": "desk::quotes" }
{ "type": "test", "name": "desk::quotes", "event": "ok", "exec_time": 0.25 }
{ "type": "test", "name": "desk::closes", "event": "failed", "exec_time": 1.5, "stdout": "..." }
{ "type": "test", "name": "desk::later", "event": "ignored" }
{ "type": "suite", "event": "failed", "passed": 1, "failed": 1 }"#;
        let read: Vec<_> =
            results(text).into_iter().map(|test| (test.name, test.time_s, test.failures)).collect();
        let expected = [("desk::quotes", Some(0.25), 0), ("desk::closes", Some(1.5), 1)];
        assert_eq!(read, expected.map(|(name, time, failures)| (name.to_owned(), time, failures)));
    }
}
