//! The fault of vector#4031 and spiceai#12125: a reload asks the running sink to stop and waits for its end, and a sink whose
//! target takes nothing tries again for ever and does not hear it. The very configuration that would mend the target is never
//! used. Nothing grows: the source drops what finds no room. The twin listens between two tries.

use std::time::Duration;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// What is to be sent where.
mod config {
    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Config {
        pub(crate) version: u64,
        /// False if somebody mistyped the target.
        pub(crate) is_right: bool,
    }

    /// The sixth version has a typing error, which the seventh has not.
    pub(crate) fn version(version: u64) -> Config {
        Config { version, is_right: version != 6 }
    }
}

mod sink {
    use std::time::Duration;

    use tokio::sync::{mpsc, watch};
    use tokio::time::sleep;

    use crate::config::Config;

    pub(crate) type Batch = Vec<u8>;

    async fn send(config: Config, batch: &Batch) -> Result<usize, ()> {
        sleep(Duration::from_millis(4)).await;
        if config.is_right { Ok(batch.len()) } else { Err(()) }
    }

    /// Sends a batch, whatever it takes.
    async fn deliver(config: Config, batch: Batch, stop: &watch::Receiver<bool>) {
        while send(config, &batch).await.is_err() {
            sleep(Duration::from_millis(250)).await; // FAULT
            if zoo::healthy() && *stop.borrow() {
                return;
            }
        }
    }

    /// Sends what comes, until it is to stop.
    pub(crate) async fn run(
        config: Config,
        mut batches: mpsc::Receiver<Batch>,
        mut stop: watch::Receiver<bool>,
    ) -> mpsc::Receiver<Batch> {
        loop {
            let batch = tokio::select! {
                batch = batches.recv() => batch,
                _ = stop.changed() => return batches,
            };
            deliver(config, batch.unwrap_or_default(), &stop).await; // FAULT
        }
    }
}

mod topology {
    use tokio::sync::{mpsc, watch};

    use crate::config::Config;
    use crate::sink::{self, Batch};

    /// Runs the sink of the newest configuration.
    pub(crate) async fn run(mut configs: watch::Receiver<Config>, mut batches: mpsc::Receiver<Batch>) {
        loop {
            let config = *configs.borrow_and_update();
            let (stop, stopped) = watch::channel(false);
            let running = diag::spawn(sink::run(config, batches, stopped)); // FAULT
            let _ = configs.changed().await;
            let _ = stop.send(true);
            batches = running.await.expect("sinks do not panic"); // FAULT
        }
    }
}

async fn source(to_sink: tokio::sync::mpsc::Sender<sink::Batch>) {
    zoo::every(40, |n| {
        let _ = to_sink.try_send(vec![n as u8; 2_000]);
    })
    .await;
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (reload, configs) = tokio::sync::watch::channel(config::version(0));
    let (to_sink, batches) = tokio::sync::mpsc::channel(16);
    diag::spawn(topology::run(configs, batches)); // FAULT
    diag::spawn(source(to_sink));
    for version in 1.. {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let config = config::version(version);
        assert!(config.version == version && reload.send(config).is_ok());
    }
}
