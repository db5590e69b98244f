//! Short notes that expire, over HTTP: who asks for the changes of one gets them one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const LIFETIME: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<HashMap<String, watch::Sender<String>>>>);

impl Notes {
    fn note(&self, name: String) -> watch::Sender<String> {
        let mut notes = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        notes.entry(name).or_default().clone()
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(name);
    }
}

async fn read(State(notes): State<Notes>, Path(name): Path<String>) -> String {
    notes.note(name).borrow().clone()
}

async fn write(State(notes): State<Notes>, Path(name): Path<String>, text: String) {
    notes.note(name.clone()).send_replace(text);
    tokio::spawn(async move {
        sleep(LIFETIME).await;
        notes.forget(&name);
    });
}

async fn change(State(notes): State<Notes>, Path(name): Path<String>) -> Result<String, StatusCode> {
    let mut changes = notes.note(name).subscribe();
    match timeout(PATIENCE, changes.changed()).await {
        Ok(Ok(())) => Ok(changes.borrow().clone()),
        _ => Err(StatusCode::NO_CONTENT),
    }
}

pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let note = get(read).put(write);
    let routes = Router::new().route("/{name}", note).route("/{name}/change", get(change));
    axum::serve(listener, routes.with_state(Notes::default())).await
}

#[tokio::main]
pub async fn main() -> std::io::Result<()> {
    serve(TcpListener::bind("127.0.0.1:8080").await?).await
}
