//! The calls of tokio-console.

use std::sync::Arc;

use console_api::instrument::instrument_server::Instrument;
use console_api::instrument::{
    InstrumentRequest, PauseRequest, PauseResponse, ResumeRequest, ResumeResponse, State, StateRequest,
    TaskDetailsRequest, Update,
};
use console_api::tasks::TaskDetails;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::watch::Receiver;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::feed::Feed;
use super::told::Told;

/// Answers all clients.
pub(super) struct Instrumented {
    pub(super) feed: Arc<Feed>,
}

/// What a client reads, until it leaves.
type Answer<T> = ReceiverStream<Result<T, Status>>;

#[async_trait]
impl Instrument for Instrumented {
    type WatchUpdatesStream = Answer<Update>;
    type WatchTaskDetailsStream = Answer<TaskDetails>;
    type WatchStateStream = Answer<State>;

    async fn watch_updates(
        &self,
        _: Request<InstrumentRequest>,
    ) -> Result<Response<Self::WatchUpdatesStream>, Status> {
        let (to, answer) = answer();
        let feed = Arc::clone(&self.feed);
        tokio::spawn(async move { tell_updates(&feed, &to).await });
        Ok(Response::new(answer))
    }

    async fn watch_task_details(
        &self,
        request: Request<TaskDetailsRequest>,
    ) -> Result<Response<Self::WatchTaskDetailsStream>, Status> {
        let id = request.into_inner().id.map(|id| id.id);
        let lives =
            |id: &u64| self.feed.watch().borrow().as_ref().is_some_and(|now| now.tasks.contains_key(id));
        let id = id.filter(lives).ok_or_else(|| Status::not_found("there is no such task any more"))?;
        let (to, answer) = answer();
        let feed = Arc::clone(&self.feed);
        tokio::spawn(async move { tell_details(&feed, id, &to).await });
        Ok(Response::new(answer))
    }

    async fn watch_state(
        &self,
        _: Request<StateRequest>,
    ) -> Result<Response<Self::WatchStateStream>, Status> {
        let (to, answer) = answer();
        let mut now = self.feed.temporality();
        tokio::spawn(async move {
            loop {
                let state = State { temporality: (*now.borrow_and_update()).into() };
                if to.send(Ok(state)).await.is_err() || !has_changed(&mut now, &to).await {
                    return;
                }
            }
        });
        Ok(Response::new(answer))
    }

    async fn pause(&self, _: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        self.feed.pause();
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        self.feed.resume();
        Ok(Response::new(ResumeResponse {}))
    }
}

/// One message at a time: a client that reads slowly misses moments, and none is kept for it.
fn answer<T>() -> (Sender<Result<T, Status>>, Answer<T>) {
    let (to, from) = mpsc::channel(1);
    (to, ReceiverStream::new(from))
}

/// Waits for the next value; false if the client or the feed is gone.
async fn has_changed<T, A>(now: &mut Receiver<T>, to: &Sender<A>) -> bool {
    tokio::select! {
        changed = now.changed() => changed.is_ok(),
        () = to.closed() => false,
    }
}

async fn tell_updates(feed: &Feed, to: &Sender<Result<Update, Status>>) {
    let (mut latest, mut told) = (feed.watch(), Told::default());
    loop {
        let moment = latest.borrow_and_update().clone();
        let updates = moment.map(|moment| told.updates(&moment, &feed.watched()));
        for update in updates.into_iter().flatten() {
            if to.send(Ok(update)).await.is_err() {
                return;
            }
        }
        if !has_changed(&mut latest, to).await {
            return;
        }
    }
}

/// Of a task, until it has ended.
async fn tell_details(feed: &Arc<Feed>, id: u64, to: &Sender<Result<TaskDetails, Status>>) {
    let _page = feed.open_page(id);
    let mut latest = feed.watch();
    loop {
        let moment = latest.borrow_and_update().clone();
        let Some(details) = moment.and_then(|moment| moment.details(id)) else { return };
        if to.send(Ok(details)).await.is_err() || !has_changed(&mut latest, to).await {
            return;
        }
    }
}
