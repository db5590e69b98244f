//! What a parked task weighs: 60,000 of them at once, in resident memory.
//!
//! Compiled only where it is asked for: a future of each size is a task of its own to the compiler.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::figures::Figures;
use crate::request::{Flavor, PARK_SIZES};
use crate::tasks::{Peer, builder, joined, on_a_worker};

/// Tasks parked at once to weigh one.
const PARKED: usize = 60_000;

macro_rules! park_each {
    ($($words:literal)+) => { [$(park::<P, $words>),+] };
}

/// Resident `bytes` of one parked task whose future has so many words of state.
pub(crate) fn weigh<P: Peer>(peer: &P, words: usize) -> Figures {
    let park: [fn(); PARK_SIZES] = park_each!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
        32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    );
    let runtime = peer.build(builder(Flavor::CurrentThread));
    // A first task pays for whatever the peer makes once.
    on_a_worker(&runtime, joined::<P, _>(async {}));
    let before = resident_bytes();
    on_a_worker(&runtime, async move {
        (0..PARKED).for_each(|_| park[words]());
        // The queue is first in, first out: when this one has run, all have been polled.
        joined::<P, _>(async {}).await;
    });
    Figures::from([("bytes".to_owned(), (resident_bytes() - before) / PARKED as f64)])
}

fn park<P: Peer, const WORDS: usize>() {
    drop(P::spawn(Parked([0; WORDS])));
}

/// Never ready; holds so many words.
struct Parked<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Future for Parked<WORDS> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u64> {
        match std::hint::black_box(self.0.first()) {
            Some(&word) if word != 0 => Poll::Ready(word),
            _ => Poll::Pending,
        }
    }
}

/// Exact, unlike `statm`, whose counters the kernel adds up only now and then.
fn resident_bytes() -> f64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc is mounted");
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("smaps_rollup has an Rss line") * 1024.0
}
