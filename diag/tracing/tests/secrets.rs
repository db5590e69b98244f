//! No secret of a span's field reaches a file: neither of a field that nobody asked for, nor of one that is on the list.

use std::fmt;
use std::future::pending;

use tracing::{Instrument, field::Empty, info_span};
use tracing_subscriber::prelude::*;

/// All of them have this in them, wherever it stands.
const NEEDLE: &str = "hunter2";

const SECRETS: [&str; 8] = [
    "Bearer hunter2",
    "user=joe password=hunter2",
    "https://joe:hunter2@db.example.com/orders",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIhunter2MjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "hunter2aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA==",
    "AKIAhunter2IOSFODNN7",
    "{\"token\": \"hunter2\"}",
    "ghp_hunter2e42F292c6912E7710c838347Ae178B4a",
];

/// A field that nobody asks for is not even written.
struct Unasked;

impl fmt::Debug for Unasked {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("nobody asked for it")
    }
}

fn has_needle(bytes: &[u8]) -> bool {
    bytes.windows(NEEDLE.len()).any(|window| window == NEEDLE.as_bytes())
}

/// The bytes of a snapshot, and all of its texts, which are packed in those.
fn file() -> (Vec<u8>, String) {
    let model = diag::snapshot().into_model();
    let labels =
        model.labels.iter().map(|label| (model.strings.show(label.key), model.strings.show(label.value)));
    let labels: String = labels.map(|(key, value)| format!("{key}={value}\n")).collect();
    let bytes = diag_snapshot::write(&model);
    let (read, damages) = diag_snapshot::read(&bytes).expect("a file");
    assert!(damages.is_empty());
    (bytes, format!("{labels}{read:?}"))
}

#[tokio::test]
async fn no_secret_reaches_a_file() {
    let subscriber = tracing_subscriber::registry().with(diag_tracing::Layer::new());
    tracing::subscriber::set_global_default(subscriber).expect("the first");
    for secret in SECRETS {
        let late = info_span!("request", request_id = Empty, authorization = secret, body = ?Unasked);
        late.record("request_id", secret);
        late.in_scope(|| diag::spawn(pending::<()>()));
        let printed = format!("{}{secret}", "x ".repeat(60));
        let request = info_span!("request", request_id = secret, trace_id = %secret, job_id = ?secret, device_id = printed);
        diag::spawn(pending::<()>().instrument(request.clone()));
        request.in_scope(|| diag::spawn(pending::<()>()));
    }
    tokio::task::yield_now().await;
    let (bytes, text) = file();
    assert!(!has_needle(&bytes) && !has_needle(text.as_bytes()));
    assert!(text.matches("[masked]").count() >= SECRETS.len() * 9, "every one of them stands for a secret");

    // The same search finds what is no secret, so it would have found one.
    let id = info_span!("request", request_id = NEEDLE);
    id.in_scope(|| diag::spawn(pending::<()>()));
    let (_, text) = file();
    assert!(has_needle(text.as_bytes()));
}
