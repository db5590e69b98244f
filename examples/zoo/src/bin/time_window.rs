//! Healthy only: 90 meters keep the samples of the last 38 s, each with the trace that it is of, for the graph of the dashboard.
//! It fills for 38 s, and from then on for each sample that comes one goes.

use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod window {
    use std::collections::{BTreeMap, VecDeque};
    use std::time::{Duration, Instant};

    const LENGTH: Duration = Duration::from_secs(38);

    struct Sample {
        at: Instant,
        _value: f64,
        _trace: Box<str>,
    }

    #[derive(Default)]
    pub(crate) struct Window {
        meters: BTreeMap<&'static str, Vec<VecDeque<Sample>>>,
    }

    impl Window {
        pub(crate) fn record(&mut self, name: &'static str, route: usize, value: f64, trace: &str) {
            let routes = self.meters.entry(name).or_default();
            if routes.len() <= route {
                routes.resize_with(route + 1, VecDeque::new);
            }
            let (samples, now) = (&mut routes[route], Instant::now());
            samples.push_back(Sample { at: now, _value: value, _trace: trace.into() });
            zoo::held(1);
            while samples.front().is_some_and(|oldest| now - oldest.at > LENGTH) {
                samples.pop_front();
                zoo::held(-1);
            }
        }
    }
}

type Shared = Arc<Mutex<window::Window>>;

async fn request(window: Shared, n: u64) {
    let trace = format!("00-{:032x}-{:016x}-01", zoo::mix(n), n);
    tokio::time::sleep(std::time::Duration::from_millis(1 + zoo::mix(n) % 20)).await;
    let route = (zoo::mix(n) % 30) as usize;
    let mut window = window.lock().unwrap();
    for name in ["latency", "request_bytes", "response_bytes"] {
        window.record(name, route, n as f64, &trace);
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let window = Shared::default();
    let mut n = 0;
    zoo::pace(700, || {
        n += 1;
        diag::spawn(request(window.clone(), n));
    })
    .await;
}
