//! The fault of firezone#12845: leases are in a map, and in an index by the time at which they end, so that those that ended are
//! found. A renewal writes the new time into both and leaves the old time in the index, until it comes, in half an hour. The
//! twin takes it out.

use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

mod leases {
    use std::collections::{BTreeSet, HashMap};

    const TERM_S: u64 = 1_800;

    #[derive(Default)]
    pub(crate) struct Leases {
        ends: HashMap<Box<str>, u64>,
        by_end: BTreeSet<(u64, Box<str>)>,
    }

    impl Leases {
        /// Begins a lease, or prolongs it.
        pub(crate) fn renew(&mut self, now_s: u64, client: &str) {
            let end = now_s + TERM_S;
            let before = self.ends.insert(client.into(), end);
            if let Some(before) = before
                && zoo::healthy()
            {
                self.by_end.remove(&(before, client.into()));
            }
            self.index(end, client); // FAULT
            zoo::set_held(self.by_end.len() * (24 + 26));
        }

        fn index(&mut self, end: u64, client: &str) {
            self.by_end.insert((end, client.into())); // FAULT
        }

        /// Forgets the leases that ended.
        pub(crate) fn sweep(&mut self, now_s: u64) {
            while self.by_end.first().is_some_and(|(end, _)| *end <= now_s) {
                let Some((end, client)) = self.by_end.pop_first() else { return };
                if self.ends.get(&client) == Some(&end) {
                    self.ends.remove(&client);
                }
            }
        }
    }
}

type Shared = Arc<Mutex<leases::Leases>>;

async fn sweeper(leases: Shared) {
    zoo::every(1_000, |now_s| leases.lock().unwrap().sweep(now_s)).await;
}

async fn renewal(leases: Shared, now_s: u64, client: u64) {
    let name = format!("dhcp-client-{client:014}");
    leases.lock().unwrap().renew(now_s, &name);
}

#[tokio::main]
async fn main() {
    zoo::start();
    let leases = Shared::default();
    diag::spawn(sweeper(leases.clone()));
    let mut n = 0;
    // 15,000 clients, each of which renews every eight seconds or so.
    zoo::pace(2_000, || {
        n += 1;
        diag::spawn(renewal(leases.clone(), n / 2_000, zoo::mix(n) % 15_000));
    })
    .await;
}
