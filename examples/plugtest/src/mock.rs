//! A mock of who sends mail: it takes what it is asked, answers, and keeps it, so that a test can look what was asked.

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

/// Who is written to, and what.
struct Mail {
    letter: Vec<u8>,
    /// Told how many were asked for so far.
    answer: oneshot::Sender<usize>,
}

/// A mock, until all of its copies are dropped.
#[derive(Clone)]
pub(crate) struct Mock(mpsc::Sender<Mail>);

impl Mock {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let (asks, asked) = mpsc::channel(16);
        diag::spawn(serve(asked)); // FAULT shared-mock
        Mock(asks)
    }

    /// Asks for a mail, and gives how many were asked for so far.
    pub(crate) async fn send(&self, letter: &[u8]) -> anyhow::Result<usize> {
        let (answer, answered) = oneshot::channel();
        let mut copy = Vec::with_capacity(letter.len()); // FAULT shared-mock
        copy.extend_from_slice(letter);
        self.0.send(Mail { letter: copy, answer }).await.ok().context("the mock has gone")?;
        Ok(answered.await?)
    }
}

async fn serve(mut asked: mpsc::Receiver<Mail>) {
    let mut sent = Vec::new();
    while let Some(mail) = asked.recv().await {
        sent.push(mail.letter);
        // Who asked may have gone.
        let _ = mail.answer.send(sent.len());
    }
}
