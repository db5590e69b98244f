//! The fault of zed#62372: a file that is open in an editor and is written by others is read again, and each time what changed
//! goes to the undo history, which has no end. Five files are open, and nobody undoes anything. The twin keeps the newest 40.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diag::task::{LocalSet, spawn_local};

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// The text of an open file, and how it came to be.
mod buffer {
    use std::ops::Range;
    use std::sync::Arc;

    const HISTORY: usize = 40;

    /// Some lines that were replaced by others.
    struct Edit {
        _lines: Range<usize>,
        old: Arc<str>,
        new: Arc<str>,
    }

    #[derive(Default)]
    pub(crate) struct Buffer {
        text: String,
        undo_stack: Vec<Vec<Edit>>,
    }

    impl Buffer {
        /// Takes what is on the disk now; the user can take it back.
        pub(crate) fn reload(&mut self, text: &str) {
            let edits = diff(&self.text, text);
            zoo::held(edits.iter().map(|edit| edit.old.len() + edit.new.len()).sum::<usize>() as i64);
            self.undo_stack.push(edits); // FAULT
            if zoo::healthy() && self.undo_stack.len() > HISTORY {
                let gone = self.undo_stack.remove(0);
                zoo::held(-(gone.iter().map(|edit| edit.old.len() + edit.new.len()).sum::<usize>() as i64));
            }
            self.text.clear();
            self.text.push_str(text);
        }
    }

    /// What differs, between the first and the last line that does.
    fn diff(old: &str, new: &str) -> Vec<Edit> {
        let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let rest = old.len().min(new.len()) - same;
        let same_end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new);
        let same_end = same_end.count();
        let lines = same..old.len() - same_end;
        let old = old[lines.clone()].join("\n").into(); // FAULT
        let new = new[same..new.len() - same_end].join("\n").into(); // FAULT
        vec![Edit { _lines: lines, old, new }] // FAULT
    }
}

/// What other programs write.
mod disk {
    use std::fmt::Write;

    /// The contents of a file after `writes` writes.
    pub(crate) fn read(file: u64, writes: u64) -> String {
        let mut text = format!("{{\n  \"file\": {file},\n");
        for part in 0..140 {
            let done = zoo::mix(writes * 140 + part) % 100_000;
            let _ = writeln!(text, "  {{ \"part\": {part}, \"received\": {done} }},");
        }
        text.push_str("}\n");
        text
    }
}

type Open = Rc<RefCell<buffer::Buffer>>;

/// Reads a file whenever it was written: a few times in a row, and then not for a while.
async fn watch(buffer: Open, file: u64) {
    for writes in 0.. {
        let pause = if writes % 10 == 9 { 900 + 300 * file } else { 90 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let text = disk::read(file, writes);
        buffer.borrow_mut().reload(&text); // FAULT
    }
}

async fn draw(frame: u64) -> String {
    tokio::time::sleep(Duration::from_millis(2)).await;
    format!("{frame:>80}").repeat(20)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    zoo::start();
    let set = LocalSet::new();
    let editor = async {
        for file in 0..5 {
            spawn_local(watch(Open::default(), file)); // FAULT
        }
        zoo::every(33, |frame| {
            spawn_local(draw(frame));
        })
        .await;
    };
    set.run_until(editor).await;
}
