//! `diag console URL`: a running service in tokio-console.

use std::net::SocketAddr;
use std::time::Duration;

use diag_viewer::ServeError;
use diag_viewer::agent::Agent;
use diag_viewer::console::{Options, bind, serve_on};

use super::asking::AskingArgs;
use super::exit::{End, Failure};
use super::output::note;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  diag console http://127.0.0.1:9797\n\nThen, in another terminal: tokio-console"
)]
pub(crate) struct Args {
    /// The agent's address: `http://127.0.0.1:9797` or `127.0.0.1:9797`
    url: String,
    /// Where to listen for tokio-console; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:6669")]
    addr: SocketAddr,
    /// Ask the service every so many seconds while a client watches; less often if it takes long to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    #[command(flatten)]
    asking: AskingArgs,
}

pub(crate) fn run(args: Args) -> Result<End, Failure> {
    let agent = Agent::parse(&args.url).map_err(Failure::Usage)?;
    let options = Options {
        agent,
        within: args.asking.within(),
        token: args.asking.token,
        every: Duration::from_secs(args.every),
        say: note,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
    runtime.block_on(serve(args.addr, options))?;
    Ok(End::Clean)
}

async fn serve(addr: SocketAddr, options: Options) -> Result<(), Failure> {
    let unusable = |error: ServeError| Failure::Usage(error.to_string());
    let listener = bind(addr).await.map_err(unusable)?;
    let addr = listener.local_addr().map_err(|error| unusable(ServeError::Io(error)))?;
    // Shows whether anybody is there; later the service may come and go.
    options.agent.knock(options.within).await.map_err(Failure::Unreadable)?;
    note(&format!("attach with: tokio-console http://{addr} (Ctrl-C ends this)"));
    serve_on(listener, options).await.map_err(unusable)
}
