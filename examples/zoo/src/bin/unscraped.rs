//! The fault of metrics#467 and restate#2406: a histogram keeps each sample until somebody asks for the metrics, who sums them up,
//! and here nobody asks. The twin has the upkeep run that does it instead.

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod telemetry {
    use metrics::histogram;
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

    /// Installs the recorder. Its page is for a scraper that nobody has set up.
    pub(crate) fn install() -> PrometheusHandle {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).expect("there is no other");
        handle
    }

    /// What must be done now and then.
    pub(crate) async fn maintain(handle: PrometheusHandle) {
        zoo::every(1_000, |_| {
            if zoo::healthy() {
                handle.run_upkeep();
            }
        })
        .await;
    }

    pub(crate) fn observe(route: &'static str, seconds: f64) {
        histogram!("request_seconds", "route" => route).record(seconds); // FAULT
        zoo::held(8);
    }
}

mod routes {
    use crate::telemetry::observe;

    const ROUTES: [&str; 5] = ["/", "/login", "/items", "/items/{id}", "/search"];

    /// A packet of requests that one connection has sent at once.
    pub(crate) async fn handle(n: u64) -> usize {
        let mut answers = String::new();
        for part in 0..40 {
            let route = ROUTES[(zoo::mix(n * 40 + part) % 5) as usize];
            answers.push_str(route);
            observe(route, part as f64 / 1e3);
            if part % 10 == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
        answers.len()
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    diag::spawn(telemetry::maintain(telemetry::install()));
    let mut n = 0;
    zoo::pace(500, || {
        n += 1;
        diag::spawn(routes::handle(n));
    })
    .await;
}
