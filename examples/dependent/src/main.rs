//! A service with a leak, written against the public interface of `diag`.
//!
//! `cargo run -p diag-dependent -- FOLDER` leaves `before.diag` and `after.diag` in the folder, seven seconds apart. Of
//! three requests one is never answered: its task waits for a sender that a map keeps.

mod fetch;
mod names;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

#[cfg(feature = "heap")]
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or("usage: diag-dependent FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let guard = builder().start();
    if let Some(problem) = guard.problems().first() {
        return Err(format!("{}: {problem}", names::kind(problem.kind())).into());
    }
    let mut waiting: HashMap<u32, oneshot::Sender<()>> = HashMap::new();
    for request in 0..300 {
        let (answered, answer) = oneshot::channel();
        waiting.insert(request, answered);
        diag::spawn(async move { drop(answer.await) });
        sleep(Duration::from_millis(25)).await;
        if request % 3 > 0 {
            waiting.remove(&request);
        }
        if request == 80 {
            fetch::snapshot(&guard, &folder.join("before.diag")).await?;
        }
    }
    fetch::snapshot(&guard, &folder.join("after.diag")).await
}

/// Every setter that is there without features.
fn builder() -> diag::Builder {
    let builder = diag::Builder::new()
        .env(false)
        .enabled(true)
        .service("dependent")
        .addr(([127, 0, 0, 1], 0))
        .agent(true)
        .token("a secret")
        .open(false)
        .every(Duration::from_secs(60))
        .keep(3)
        .parked(50_000)
        .signal(Some(40))
        .exact_timing(false)
        .resource_attribute("region", "eu-1".to_owned())
        .runtime("main", tokio::runtime::Handle::current())
        .on_problem(|_| {})
        .stderr(true)
        .allocator_stats(|| Some(diag::AllocatorStats::new("system", 0, 0)));
    #[cfg(feature = "heap")]
    let builder = builder.heap(diag::HeapMode::Sample).heap_rate(512 << 10);
    builder
}
