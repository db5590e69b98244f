//! The kind of fault of dragonflyoss/client#1182 and wreq-python#282: a client of its own, with a pool of connections of its own,
//! for what only differs in a header. Here it is kept by tenant and token, a token is good for a second, and the client of an
//! old one stays with its connection. The twin forgets the client of the token before.

use std::sync::Arc;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The storage at the other end; it never closes a connection.
mod storage {
    use std::sync::mpsc::Sender;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn serve(mut peer: TcpStream) {
        let mut request = Vec::new();
        while peer.read_buf(&mut request).await.is_ok_and(|n| n > 0) {
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                let _ = peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nobjects").await;
            }
        }
    }

    pub(crate) async fn run(tell: Sender<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell.send(format!("http://{}/objects", listener.local_addr().unwrap())).unwrap();
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(peer));
        }
    }
}

/// The clients of the storage.
mod clients {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use reqwest::Client;
    use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    #[derive(Default)]
    pub(crate) struct Clients(Mutex<HashMap<(u64, String), Client>>);

    impl Clients {
        pub(crate) fn get(&self, tenant: u64, token: &str) -> Client {
            let mut clients = self.0.lock().unwrap();
            if zoo::healthy() {
                clients.retain(|(who, old), _| *who != tenant || old == token);
            }
            let client = clients.entry((tenant, token.to_owned())); // FAULT
            client.or_insert_with(|| build(token)).clone() // FAULT
        }
    }

    fn build(token: &str) -> Client {
        let token = HeaderValue::from_str(token).expect("a token is text");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token)]);
        let client = Client::builder().default_headers(headers).pool_idle_timeout(None);
        client.build().expect("a client without TLS") // FAULT
    }
}

async fn list(clients: Arc<clients::Clients>, url: Arc<str>, n: u64) -> Option<usize> {
    let tenant = n % 4;
    let token = format!("Bearer {:032x}", zoo::mix((tenant << 32) | (n / 20)));
    let client = clients.get(tenant, &token);
    let answer = client.get(&*url).send().await.ok()?; // FAULT
    Some(answer.bytes().await.ok()?.len())
}

#[tokio::main]
async fn main() {
    zoo::start();
    let url: Arc<str> = zoo::outside(storage::run).into();
    let clients = Arc::<clients::Clients>::default();
    zoo::every(50, |n| {
        diag::spawn(list(clients.clone(), url.clone(), n));
    })
    .await;
}
