//! The IoT hub by itself, with devices that drive it: `diag snap 127.0.0.1:9797 -o FILE` while it runs.
//!
//! Without `--fault` it is healthy. At the end it says what the devices did, and writes its truth if asked.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand};
use diag_examples::iothub::driver::{Driver, Script, Tally};
use diag_examples::iothub::transport::{self, Transport};
use diag_examples::iothub::{Config, Fault, Hub, Run, Truth};
use diag_examples::{args, progress};

/// The heap sampler: one line, and off until diag starts.
#[global_allocator]
static ALLOC: diag::Alloc = diag::Alloc::system();

/// An IoT hub under test: one task for each device, with faults to switch on.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Devices that stay online; visitors come and go besides.
    #[arg(long, default_value_t = 200)]
    devices: usize,
    /// How devices connect: some thousands over tcp, up to a million through memory.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// A fault to switch on; may be given twice.
    #[arg(long, value_enum)]
    fault: Vec<Fault>,
    /// No fault at all, which is also the default.
    #[arg(long, conflicts_with = "fault")]
    healthy: bool,
    /// Run for so long, or until interrupted.
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    seconds: Duration,
    /// Write what the hub knows about its faults to this file at the end.
    #[arg(long)]
    truth: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// The whole hub in a trial: a load, snapshots in a folder, and what it knows itself beside them.
    Run(Run),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Command::Run(trial)) = &args.command {
        return try_out(trial);
    }
    let _diag = diag::Builder::new().service("iothub").start();
    let runtime = tokio::runtime::Runtime::new()?;
    let (tally, truth) = runtime.block_on(run(&args))?;
    if let Some(path) = &args.truth {
        let text = serde_json::to_string_pretty(&truth)?;
        fs::write(path, text + "\n")
            .with_context(|| format!("cannot write the truth to {}", path.display()))?;
    }
    say(&tally, &truth)?;
    Ok(())
}

fn try_out(trial: &Run) -> anyhow::Result<()> {
    let _diag = diag::Builder::new()
        .service("iothub")
        .allocator_stats(diag::glibc_stats)
        .heap_rate(64 << 10)
        .agent(false)
        .start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let truth = runtime.block_on(trial.run())?;
    say_of_hub(&mut io::stdout().lock(), &truth)?;
    Ok(())
}

async fn run(args: &Args) -> anyhow::Result<(Tally, Truth)> {
    let (listener, connector) = transport::open(args.transport).await?;
    let faults = args.fault.iter().copied().collect();
    let hub = Hub::start(listener, Config { faults, ..Config::default() });
    let driver = Driver::start(connector, Script { steady: args.devices, ..Script::default() })?;
    let started = Instant::now();
    let end = started + args.seconds;
    let online = diag::gauge("devices_online");
    let line =
        || format!("{:.0} s, {} devices online; Ctrl-C ends", started.elapsed().as_secs_f64(), online.get());
    tokio::select! {
        () = progress::wait_until(end, line) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    // Before the devices say goodbye: this is the hub at work.
    let truth = hub.truth();
    Ok((driver.stop()?, truth))
}

fn say(tally: &Tally, truth: &Truth) -> io::Result<()> {
    let Tally { steady, polite, returned, lost, failed } = tally;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "devices: {steady} stayed, {polite} visited, {returned} came back, {lost} got lost, {failed} failed"
    )?;
    say_of_hub(&mut out, truth)
}

fn say_of_hub(out: &mut impl Write, truth: &Truth) -> io::Result<()> {
    writeln!(out, "hub:     {} online, {} sessions", truth.devices_online, truth.sessions)?;
    for fault in &truth.faults {
        writeln!(out, "fault:   {fault}")?;
    }
    Ok(())
}
