//! Names are interned with `Box::leak`, which is meant for the few that there are; here some come from the requests. In the
//! twin the names are those of routes.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

fn intern(name: &str) -> &'static str {
    let mut names = NAMES.lock().unwrap();
    if let Some(known) = names.get(name) {
        return known;
    }
    let leaked = Box::leak(name.to_owned().into_boxed_str()); // FAULT
    names.insert(leaked); // FAULT
    zoo::held(leaked.len() as i64);
    leaked
}

async fn request(n: u64) -> usize {
    let id = if zoo::healthy() { n % 300 } else { n };
    intern(&format!("GET /v1/tenants/default/objects/{id:0>300}")).len()
}

#[tokio::main]
async fn main() {
    zoo::start();
    let mut n = 0;
    zoo::pace(4_000, || {
        n += 1;
        diag::spawn(request(n));
    })
    .await;
}
