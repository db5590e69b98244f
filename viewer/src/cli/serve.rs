//! `diag serve [SNAP|DIR|URL]...`: the viewer in a browser.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use diag_viewer::{Access, Editor, ServeError, Source, bind, router, serve_on};

use super::browser;
use super::exit::{End, Failure};
use super::load::DebugDirs;
use super::output::note;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag serve http://127.0.0.1:9797\n  diag serve before.diag after.diag snapshots/\n  \
                  diag serve --source-root . --editor vscode snapshots/"
)]
pub(crate) struct Args {
    /// Snapshot files, folders that fill, agents of running services; default: this folder
    #[arg(value_name = "SNAP|DIR|URL")]
    places: Vec<String>,
    /// Where to listen; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:9898")]
    addr: SocketAddr,
    /// Another host name under which the viewer may be reached
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// What readers must know, and what agents are given; needed if other machines can reach it
    #[arg(long, env = "DIAG_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Open the pages in the default browser
    #[arg(long)]
    open: bool,
    /// Offer nothing that touches a running service
    #[arg(long)]
    read_only: bool,
    /// Ask running services for a snapshot every so many seconds, also when nobody looks; less often if they take long to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Ask running services only when a page is loaded
    #[arg(long)]
    no_poll: bool,
    /// Keep snapshots of running services in this folder, which is made if need be, so that links to them stay valid; sixty of each service, those of earlier runs counted
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Show lines of the source code in this folder, to all who may read; a snapshot's paths are only compared with the files in it
    #[arg(long, value_name = "DIR")]
    source_root: Option<PathBuf>,
    /// Link these lines to an editor: vscode, vscodium, cursor, zed, idea, rustrover, emacs, or an address with {path} and {line}
    #[arg(long, value_name = "EDITOR", requires = "source_root", value_parser = Editor::parse)]
    editor: Option<Editor>,
    #[command(flatten)]
    debug: DebugDirs,
}

pub(crate) fn run(args: Args) -> Result<End, Failure> {
    let source = source(&args.places).map_err(Failure::Usage)?.with_debug_files(args.debug.files()?);
    let mut access = Access::default();
    (access.hosts, access.token, access.read_only) = (args.allow_host, args.token, args.read_only);
    access.poll_every = (!args.no_poll).then(|| Duration::from_secs(args.poll));
    if let Some(folder) = &args.keep {
        let unwritable =
            |error| Failure::Unreadable(format!("cannot make the folder {}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    access.keep = args.keep;
    if let Some(folder) = args.source_root.as_ref().filter(|folder| !folder.is_dir()) {
        let next = "give the folder that the service is built in";
        return Err(Failure::Usage(format!("there is no folder {}: {next}", folder.display())));
    }
    (access.source_root, access.editor) = (args.source_root, args.editor);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreadable(format!("cannot start: {error}")))?;
    runtime
        .block_on(serve(args.addr, source, access, args.open))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(End::Clean)
}

async fn serve(addr: SocketAddr, source: Source, access: Access, open: bool) -> Result<(), ServeError> {
    let listener = bind(addr, &access).await?;
    let addr = listener.local_addr().map_err(ServeError::Io)?;
    let launch = access.token.as_ref().map_or(String::new(), |token| format!("?token={token}"));
    note(&format!("look at http://{addr}/{launch} (Ctrl-C ends it)"));
    if open && let Err(error) = browser::open(addr, access.token.is_some()) {
        note(&error);
    }
    serve_on(listener, router(source, access)).await
}

fn source(places: &[String]) -> Result<Source, String> {
    if places.is_empty() {
        return Ok(Source::folder("."));
    }
    places.iter().try_fold(Source::default(), |source, place| Ok(source.and(Source::parse(place)?)))
}
