//! What is done for one client.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::book::Book;

/// A client wants to know a price.
pub(crate) struct Question {
    pub(crate) instrument: usize,
    pub(crate) answer: oneshot::Sender<u64>,
}

/// What a client asked and was told.
struct History {
    #[cfg(feature = "mended")]
    last: u64,
    quotes: Vec<(usize, u64)>,
}

impl History {
    fn new() -> Self {
        History {
            #[cfg(feature = "mended")]
            last: 0,
            quotes: Vec::with_capacity(256),
        }
    }

    fn add(&mut self, instrument: usize, price: u64) {
        self.quotes.push((instrument, price));
        #[cfg(feature = "mended")]
        {
            self.last = price;
        }
    }
}

/// Answers until the client has left.
pub(crate) async fn serve(mut questions: mpsc::Receiver<Question>, book: Arc<Book>) {
    let mut history = History::new();
    while let Some(question) = questions.recv().await {
        let price = book.price(question.instrument);
        history.add(question.instrument, price);
        // Who left does not want to know.
        let _ = question.answer.send(price);
    }
}
