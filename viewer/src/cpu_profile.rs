//! A CPU profile of a running service, and the snapshot that has it.

use std::time::Duration;

use diag_analysis::{cpu_stacks, import};
use diag_snapshot::Snapshot;
use hyper::body::Bytes;

use crate::agent::Agent;

/// What the service did on CPUs for some seconds.
pub struct CpuProfile(Snapshot);

impl CpuProfile {
    /// Has the agent take one for so many seconds, which are waited for, and `within` besides.
    ///
    /// # Errors
    /// As [`Agent::snapshot`], and if the service cannot take one, why.
    pub async fn take(
        agent: &Agent,
        token: Option<&str>,
        within: Duration,
        seconds: u64,
    ) -> Result<Self, String> {
        let bytes = agent.cpu_profile(token, within, seconds).await?;
        let wrong = |why: &dyn std::fmt::Display| {
            format!("the answer of {} is no CPU profile: {why}", agent.authority())
        };
        let Some(format) = import::by_name("pprof") else { return Err(wrong(&"it cannot be read")) };
        let profile = format.import(&bytes).map_err(|error| wrong(&error))?;
        if !cpu_stacks::is_profiled(&profile) {
            return Err(format!("{} had nothing on a CPU for {seconds} s", agent.authority()));
        }
        Ok(CpuProfile(profile))
    }

    /// The bytes of this snapshot, which is of the same process, with the profile in it.
    ///
    /// # Errors
    /// If they are damaged, or there is no more room in it.
    pub fn added_to(&self, snapshot: &[u8]) -> Result<Bytes, String> {
        let (mut snapshot, damages) = diag_snapshot::read(snapshot).map_err(|error| error.to_string())?;
        if let Some(damage) = damages.first() {
            return Err(format!("the snapshot is damaged: {damage}"));
        }
        if !cpu_stacks::add(&mut snapshot, &self.0) {
            return Err("the snapshot has no room for the stacks of a CPU profile".to_owned());
        }
        Ok(diag_snapshot::write(&snapshot).into())
    }
}
