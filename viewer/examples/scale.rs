//! How fast the pages of 1.2 million tasks are, without a network: the time from a request to its
//! last byte, the first time and again. Run it with `--release`.
#![expect(clippy::print_stdout, reason = "it is a measurement")]

#[path = "../tests/site/mod.rs"]
mod site;

use std::time::{Duration, Instant};

use diag_test_support::crowd::crowd;
use site::{Folder, Viewer};

const TASKS: u64 = 1_200_000;
const STACKS: u32 = 100_000;
const PAGES: [&str; 30] = [
    "/s/live/tasks",
    "/s/live/tasks?sort=idle",
    "/s/live/tasks?sort=held",
    "/s/live/tasks?q=:42:",
    "/s/live/tasks?state=polling",
    "/s/live/tasks?sort=-idle",
    "/s/live/tasks?sort=site",
    "/s/live/tasks?sort=ended",
    "/s/live/tasks?sort=spawned",
    "/s/live/tasks?group=await",
    "/s/live/tasks?group=state",
    "/s/live/tasks?group=parent&sort=-age",
    "/s/live/tasks?group=label",
    "/s/live/task/600000",
    "/q?q=crowd.rs:42",
    "/q?q=600000",
    "/s/live/site/0",
    "/s/live/site/0?sort=idle",
    "/s/live/site/0?sort=polls",
    "/s/live/site/0?sort=held",
    "/s/live/site/0?state=polling",
    "/s/live/heap",
    "/s/live/heap.svg",
    "/s/live/flame.json",
    "/s/live/flame.json?invert=true",
    "/s/live/flame.json?q=function_77&nodes=1",
    "/s/live/flame.json?q=%2Ffunction_7.*7%24%2F&nodes=1",
    "/s/live/flame.json?age=60s",
    "/s/live/flame.json?kind=other",
    "/",
];

#[tokio::main]
async fn main() {
    for sites in [1, 1_000] {
        let folder = Folder::new(&format!("measure-{sites}"));
        folder.write("crowd.diag", &crowd(TASKS, sites, STACKS));
        println!("{TASKS} tasks at {sites} spawn sites, {STACKS} stacks: milliseconds cold, warm, kilobytes");
        for path in PAGES {
            // Each page meets a viewer that has read nothing yet.
            let viewer = folder.viewer();
            let (cold, _) = timed(&viewer, path).await;
            let (warm, bytes) = timed(&viewer, path).await;
            println!("{:>8.1} {:>8.1} {:>7}  {path}", ms(cold), ms(warm), bytes / 1024);
        }
    }
}

async fn timed(viewer: &Viewer, path: &str) -> (Duration, usize) {
    let started = Instant::now();
    let bytes = viewer.page(path).await.len();
    (started.elapsed(), bytes)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
