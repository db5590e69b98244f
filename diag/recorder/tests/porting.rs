//! One app, written against `tokio::task`, and once more with only its `use` line changed.

use std::future::{Future, poll_fn};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Poll;

mod on_tokio {
    use super::*;
    use tokio::task;

    include!("porting/app.rs");
}

mod on_diag {
    use super::*;
    use diag::task;

    include!("porting/app.rs");
}

#[test]
fn changing_the_use_line_changes_no_answer() {
    let answers = on_tokio::run();
    assert_eq!(on_diag::run(), answers);
    assert_eq!(answers.len(), 12, "{answers:#?}");
}
