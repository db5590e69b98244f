//! One check of each mirror, for a step of CI: a line of log each, and how they stand as the exit code.

use std::time::Duration;

use crate::log;
use crate::prober::Prober;
use crate::standing::Standing;

/// What is checked once.
#[derive(Clone, Debug, clap::Args)]
pub struct Once {
    /// The addresses of the mirrors.
    #[arg(required = true)]
    pub urls: Vec<String>,
    /// An attempt may take so many milliseconds.
    #[arg(long, default_value_t = 3000)]
    pub timeout_ms: u64,
}

impl Once {
    /// Checks each mirror, and writes the log to the standard output.
    ///
    /// # Errors
    /// If nothing can be written.
    pub async fn run(&self) -> anyhow::Result<Standing> {
        let timeout = Duration::from_millis(self.timeout_ms);
        let prober = Prober::new(self.urls.iter().cloned(), timeout, None);
        let written = diag::spawn(log::write(prober.feed.listen(), std::io::stdout()));
        let checks: Vec<_> = (0..self.urls.len()).map(|mirror| prober.start(mirror, 0)).collect();
        for check in checks {
            check.await?;
        }
        let standing = prober.standing();
        drop(prober);
        written.await??;
        Ok(standing)
    }
}
