//! A running service as the source: it is asked when a page is loaded, and may stay silent.

#[path = "../../diag/diff/tests/script/mod.rs"]
mod script;
mod site;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use diag_viewer::{Access, Source, router};
use script::{Service, in_order, steady};
use site::Viewer;

/// Answers one request after the other with these bodies, then listens no more.
fn agent(bodies: Vec<Vec<u8>>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let serve = move |body: Vec<u8>| {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 4096];
        let read = stream.read(&mut request).expect("a request");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).expect("the client reads");
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    (address, thread::spawn(move || bodies.into_iter().map(serve).collect()))
}

fn viewer(address: &str, token: Option<&str>) -> Viewer {
    let source = Source::parse(&format!("http://{address}")).expect("an address");
    Viewer(router(source, Access { hosts: Vec::new(), token: token.map(str::to_owned) }))
}

#[tokio::test]
async fn a_service_is_asked_once_for_pages_loaded_together() {
    let snapshot = Service::new(in_order(steady(7, 30, 0.0, 10.0, 0.5))).at(20.0);
    let (address, agent) = agent(vec![diag_snapshot::write(&snapshot)]);
    let viewer = viewer(&address, None);
    assert!(viewer.page("/").await.contains(&format!("{address} #1")));
    assert!(viewer.page("/s/live/tasks").await.contains("30 live tasks"));
    let listed = viewer.json("/api/v1").await;
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(1));
    assert_eq!(agent.join().expect("served").len(), 1);
}

#[tokio::test]
async fn the_token_is_handed_on() {
    let (address, agent) = agent(vec![Vec::new()]);
    let request =
        axum::http::Request::get("/").header("host", "localhost").header("authorization", "Bearer hush");
    viewer(&address, Some("hush")).ask(request).await;
    let asked = agent.join().expect("served").concat().to_lowercase();
    assert!(asked.contains("authorization: bearer hush\r\n"), "{asked}");
}

#[tokio::test]
async fn what_went_wrong_is_on_the_page() {
    let (address, agent) = agent(vec![b"<html>".to_vec()]);
    assert!(viewer(&address, None).page("/").await.contains("not a diag snapshot"));
    agent.join().expect("served");
    let page = viewer(&address, None).page("/").await;
    assert!(page.contains("nothing listens at"), "{page}");
}
