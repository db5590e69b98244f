//! What a plugin is: told of each suite and each test.

use std::pin::Pin;

use crate::body::Body;
use crate::suite::Facts;

/// What a plugin does at one moment.
pub(crate) type Step<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
}

/// A plugin of the runner.
pub(crate) trait Plugin: Send + Sync {
    /// A suite begins.
    fn begin<'a>(&'a self, suite: &'a Facts) -> Step<'a>;

    /// A test of it has ended.
    fn ended<'a>(&'a self, suite: &'a Facts, body: Body, verdict: Verdict) -> Step<'a>;

    /// It has ended, with all of its tests.
    fn end<'a>(&'a self, suite: &'a Facts) -> Step<'a>;
}

/// Nothing is done.
pub(crate) fn nothing<'a>() -> Step<'a> {
    Box::pin(async { Ok(()) })
}
