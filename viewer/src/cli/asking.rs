//! How a running service is asked, whatever for.

use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct AskingArgs {
    /// The service's DIAG_TOKEN, if it has one; default: the same variable here
    #[arg(long, env = "DIAG_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Give up on an answer after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

impl AskingArgs {
    /// How long an answer may take.
    pub(super) fn within(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
