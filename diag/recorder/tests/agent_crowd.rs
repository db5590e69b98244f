//! More callers at once than there are places: each is answered or told to come again, none is reset; and those
//! that ask and then do not read give their place to who does.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use diag_test_support::http::{Answer, ask, connect, get, read};

const SNAPSHOT: &str = "GET /snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn all_are_answered_and_who_does_not_read_gives_way() {
    // An answer that no socket takes in one piece.
    let guard = diag::Builder::new().addr(([127, 0, 0, 1], 0)).resource_attribute("bulk", bulk()).start();
    let addr = guard.agent_addr().unwrap();

    let statuses = crowd(addr, 200);
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(served >= 64, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");

    let mut rude: Vec<TcpStream> = (0..80).map(|_| connect(addr)).collect();
    for stream in &mut rude {
        stream.write_all(SNAPSHOT.as_bytes()).unwrap();
    }
    for stream in &rude {
        // Its answer has begun.
        stream.peek(&mut [0]).unwrap();
    }
    // What they have not read by then, they do not read.
    thread::sleep(Duration::from_secs(2));
    for _ in 0..3 {
        let answer = get(addr, "/snapshot");
        assert!(is_whole(&answer), "{} bytes: {}", answer.body.len(), answer.head);
    }
    // Those that nobody wanted the place of get the rest when they read it.
    let whole = rude.iter_mut().flat_map(read).filter(is_whole).count();
    assert!(whole >= 32, "{whole} of the slow ones got all of it");
}

fn is_whole(answer: &Answer) -> bool {
    let length = format!("content-length: {}\r\n", answer.body.len());
    answer.status == 200 && answer.body.len() > 1 << 20 && answer.head.contains(&length)
}

/// What so many callers are answered that ask in the same moment.
fn crowd(addr: SocketAddr, callers: usize) -> Vec<u16> {
    let gate = std::sync::Barrier::new(callers);
    thread::scope(|scope| {
        let call = || {
            gate.wait();
            let answer = ask(addr, SNAPSHOT).expect("not reset");
            if answer.status == 503 {
                assert!(answer.head.contains("retry-after: "), "{}", answer.head);
                assert!(answer.text().contains("try again"), "{}", answer.text());
            }
            answer.status
        };
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

/// 3 MiB that cannot be compressed to less than half of it.
fn bulk() -> String {
    let mut random = 1_u64;
    let mut digit = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_digit((random >> 60) as u32, 16).unwrap()
    };
    (0..3 << 20).map(|_| digit()).collect()
}
