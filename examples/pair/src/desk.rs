//! Where clients come to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::mpsc;

use crate::book::Book;
use crate::session::{self, Question};

/// Sessions beside each other, which know the same prices.
pub(crate) struct Desk {
    book: Arc<Book>,
    opened: AtomicU64,
    ended: Arc<AtomicU64>,
    /// Whom a new price is to be pushed to.
    #[cfg(all(feature = "v1_2_1", not(feature = "mended")))]
    pushed_to: std::sync::Mutex<Vec<mpsc::Sender<Question>>>,
    #[cfg(feature = "mended")]
    pushed_to: std::sync::Mutex<Vec<mpsc::WeakSender<Question>>>,
}

/// What the desk itself knows.
#[derive(Serialize)]
pub(crate) struct Truth {
    schema: &'static str,
    version: &'static str,
    opened: u64,
    ended: u64,
    sessions_spawned_at: String,
}

impl Desk {
    pub(crate) fn new(book: Book) -> Self {
        Desk {
            book: Arc::new(book),
            opened: AtomicU64::new(0),
            ended: Arc::default(),
            #[cfg(feature = "v1_2_1")]
            pushed_to: Default::default(),
        }
    }

    /// Opens a session, which ends when nobody has its sender any more.
    pub(crate) fn open(&self) -> mpsc::Sender<Question> {
        let (ask, questions) = mpsc::channel(8);
        self.push_to(&ask);
        let (book, ended) = (self.book.clone(), self.ended.clone());
        self.opened.fetch_add(1, Ordering::Relaxed);
        diag::spawn(async move {
            session::serve(questions, book).await;
            ended.fetch_add(1, Ordering::Relaxed);
        });
        ask
    }

    #[cfg(not(feature = "v1_2_1"))]
    fn push_to(&self, _: &mpsc::Sender<Question>) {}

    /// Whoever is in this list keeps its session open: that is the leak.
    #[cfg(all(feature = "v1_2_1", not(feature = "mended")))]
    fn push_to(&self, ask: &mpsc::Sender<Question>) {
        self.pushed_to.lock().expect("nobody panics with it").push(ask.clone());
    }

    #[cfg(feature = "mended")]
    fn push_to(&self, ask: &mpsc::Sender<Question>) {
        let mut all = self.pushed_to.lock().expect("nobody panics with it");
        all.retain(|known| known.strong_count() > 0);
        all.push(ask.downgrade());
    }

    pub(crate) fn truth(&self) -> Truth {
        let [opened, ended] = [&self.opened, &*self.ended].map(|count| count.load(Ordering::Relaxed));
        let line = include_str!("desk.rs").lines().position(|line| line.contains("diag::spawn(async move"));
        let sessions_spawned_at = format!("src/desk.rs:{}", line.map_or(0, |line| line + 1));
        Truth { schema: "quotedesk.truth/1", version: crate::VERSION, opened, ended, sessions_spawned_at }
    }
}
