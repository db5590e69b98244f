//! The S3 server: `s3s-fs` in a process of its own, on a free port of loopback. What keys begin with says how slow it is.

use std::convert::Infallible;
use std::future::pending;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diag_trial::outside;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::client::REQUEST_ID;

pub(crate) const BUCKET: &str = "gate";
pub(crate) const KEY: &str = "gateway";
pub(crate) const SECRET: &str = "only on loopback";

/// Serves the folder until whoever started us has gone.
pub(crate) async fn serve(root: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(root.join(BUCKET))?;
    let files = s3s_fs::FileSystem::new(root).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let log = std::fs::File::create(root.with_extension("log"))?;
    let server = Server { store: builder.build(), log: Arc::new(Mutex::new(log)) };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    outside::say(&format!("http://{}", listener.local_addr()?))?;
    tokio::select! {
        () = accept(listener, server) => {}
        () = outside::left_alone() => {}
    }
    Ok(())
}

async fn accept(listener: TcpListener, server: Server) {
    loop {
        match listener.accept().await {
            Ok((peer, _)) => drop(tokio::spawn(talk(peer, server.clone()))),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn talk(peer: TcpStream, server: Server) {
    let answer = |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    };
    let service = hyper::service::service_fn(answer);
    // A client that goes away in the middle is its own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(peer), service).await;
}

#[derive(Clone)]
struct Server {
    store: S3Service,
    log: Arc<Mutex<std::fs::File>>,
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<s3s::Body> {
        self.write_down(&request);
        dawdle(request.method(), request.uri().path()).await;
        self.store.call(request.map(s3s::Body::from)).await.unwrap_or_else(|_| {
            let mut failed = Response::new(s3s::Body::empty());
            *failed.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            failed
        })
    }

    /// The id of the request that this is asked for, beside what is asked.
    fn write_down(&self, request: &Request<Incoming>) {
        let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("-");
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written is missed by who looks for ids in it.
        let _ = writeln!(log, "{id} {} {}", request.method(), request.uri().path());
    }
}

/// Keys of `stalled-` are never answered, parts of `glacial-` take a minute and of `slow-` 3 s, objects of `slow-` 0.6 s.
async fn dawdle(method: &Method, path: &str) {
    let key = path.rsplit('/').next().unwrap_or_default();
    let is_put = method == Method::PUT;
    match key.split('-').next() {
        Some("stalled") => pending().await,
        Some("glacial") if is_put => sleep(Duration::from_secs(60)).await,
        Some("slow") if is_put => sleep(Duration::from_secs(3)).await,
        Some("slow") => sleep(Duration::from_millis(600)).await,
        _ => {}
    }
}
