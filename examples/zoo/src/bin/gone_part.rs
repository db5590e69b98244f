//! The fault of incan#418 and cloud-hypervisor#71 (of cyberus-technology): the parts of an export meet at a barrier after each
//! step, and a part that fails goes without a word. The others wait for it at the next step for good, and the export for them.
//! In the twin a part that fails says so, and who waits at the barrier hears it.

use std::time::Duration;

use tokio::time::sleep;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// An export of all shards, of which each is at the same step as the others.
mod export {
    use std::sync::Arc;

    use diag::task::JoinSet;
    use tokio::sync::{Barrier, watch};

    pub(crate) const SHARDS: u64 = 4;

    #[derive(Debug)]
    pub(crate) struct Failed;

    /// Where the shards of an export meet.
    struct Meeting {
        barrier: Barrier,
        failed: watch::Sender<bool>,
    }

    impl Meeting {
        async fn wait(&self) -> Result<(), Failed> {
            if !zoo::healthy() {
                self.barrier.wait().await; // FAULT
                return Ok(());
            }
            let mut failed = self.failed.subscribe();
            tokio::select! {
                _ = self.barrier.wait() => Ok(()),
                _ = failed.wait_for(|failed| *failed) => Err(Failed),
            }
        }
    }

    async fn part(meeting: Arc<Meeting>, export: u64, shard: u64) -> Result<usize, Failed> {
        let mut rows = Vec::new();
        for step in 0..5 {
            match super::read(export, shard, step).await {
                Ok(read) => rows.extend(read),
                Err(failed) => {
                    meeting.failed.send_replace(true);
                    return Err(failed); // FAULT
                }
            }
            meeting.wait().await?; // FAULT
        }
        Ok(rows.len())
    }

    /// Exports all shards and returns how many rows there were.
    pub(crate) async fn run(export: u64) -> Result<usize, Failed> {
        let meeting =
            Arc::new(Meeting { barrier: Barrier::new(SHARDS as usize), failed: watch::Sender::new(false) });
        let mut parts = JoinSet::new();
        for shard in 0..SHARDS {
            parts.spawn(part(meeting.clone(), export, shard)); // FAULT
        }
        let mut rows = Ok(0);
        while let Some(part) = parts.join_next().await {
            // FAULT
            rows = match (rows, part.unwrap_or(Err(Failed))) {
                (Ok(rows), Ok(part)) => Ok(rows + part),
                _ => Err(Failed),
            };
        }
        rows
    }
}

/// Reads rows of a shard; in one export of fourteen a shard is moved away meanwhile.
async fn read(export: u64, shard: u64, step: u64) -> Result<Vec<u64>, export::Failed> {
    sleep(Duration::from_millis(5 + zoo::mix(export ^ shard << 8 ^ step << 16) % 20)).await;
    if export % 14 == 13 && shard == export % export::SHARDS && step == 2 {
        return Err(export::Failed);
    }
    Ok((0..60).map(|row| zoo::mix(export + row)).collect())
}

async fn request(n: u64) -> usize {
    export::run(n).await.unwrap_or(0)
}

#[tokio::main]
async fn main() {
    zoo::start();
    zoo::every(80, |n| {
        diag::spawn(request(n)); // FAULT
    })
    .await;
}
