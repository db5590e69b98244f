//! What the census costs a unary call of tonic, client and server in one process: three tasks' cells a call. Instructions of a call
//! with and without it, and CPU time with the kernel's part, which is the larger one.
//!
//! `cargo run --release --manifest-path examples/census/Cargo.toml --bin unary`

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use diag_census::{INNER, INNER_NAME, Inner, Switch, cpu_ns, least_cpu_ns, per_operation};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[global_allocator]
static ALLOC: diag::Alloc<Inner> = diag::Alloc::new(INNER);

/// So much more may a call cost, in percent.
const BAR: f64 = 1.0;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [] => measure(),
        [_, count] => {
            let count: u64 = count.parse().context("a count")?;
            // The first thread's stack is not where the kernel says while valgrind runs it.
            std::thread::spawn(move || calls(count)).join().ok().context("it panicked")??;
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("unary, or unary call COUNT"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn calls(count: u64) -> Result<()> {
    let _guard = diag::Builder::new().agent(false).start();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder().add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Endpoint::new(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    client.check(HealthCheckRequest::default()).await?;
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    if std::env::var_os("DIAG_CENSUS").is_none() && std::env::var_os("DIAG").is_none() {
        let (snapshot, _) = diag_snapshot::read(&diag::snapshot().to_bytes()).context("a snapshot")?;
        let tasks = snapshot.tasks.len();
        ensure!(
            tasks >= 3,
            "the server, and both ends of a connection are tasks, of which the census has {tasks}"
        );
    }
    let begun_ns = cpu_ns();
    for _ in 0..count {
        client.check(HealthCheckRequest::default()).await?;
    }
    println!("{}", (cpu_ns() - begun_ns) / count.max(1));
    Ok(())
}

fn measure() -> Result<ExitCode> {
    let [without, all] =
        [Switch::WithoutCensus, Switch::All].map(|switch| per_operation("call", [500, 2_500], switch));
    let (without, all) = (without?, all?);
    let more = (all / without - 1.0) * 100.0;
    println!(
        "a call over {INNER_NAME}: {without:.0} instructions of its own, {all:.0} with the census: {more:+.2} %"
    );
    let [without, all] = least_cpu_ns("call", 4_000, [Switch::WithoutCensus, Switch::All])?;
    let more = (all / without - 1.0) * 100.0;
    println!("with the kernel's part: {without:.0} ns of a CPU, {all:.0} with the census: {more:+.2} %");
    println!("{}", if more <= BAR { "within the bar" } else { "ABOVE THE BAR" });
    Ok(ExitCode::from(u8::from(more > BAR)))
}
