//! `group`: tasks that belong together and end together, as the parts of an upload.
//!
//! A service that lets a job go does not know which of its tasks have heard of it. A group does: who its members are, what has
//! become of each, when they were asked to end, and who has not.
//!
//! | file | what |
//! |---|---|
//! | `members` | the members of one group, alive and ended, and that it was asked to end |
//! | `registry` | all groups of the process, and the totals of the places that make them |
//! | `member` | the future of a member, which joins, is polled and ends |
//!
//! Only groups pay: a member takes the lock of its group when it joins and when it ends, and leaves a stamp at each poll.

mod member;
mod members;
mod registry;

use std::fmt::{self, Display};
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

pub use member::InGroup;
pub(crate) use members::{Cancelled, Member, Members};
pub(crate) use registry::{GroupSite, GroupState, all, core_tables, sites};

use super::handle::JoinHandle;
use super::labels::value::Value;
use super::scope::{Scope, scope};
use super::site::Kind;
use super::spawn::Spawn;
use members::Ask;

/// Makes a group: tasks that belong together and end together, as the parts of an upload.
///
/// `kind` says what it is for, and is one of a fixed few; `name` says which of them it is. Each of its tasks has the two as
/// a label, as in a [`scope`](super::scope()), and so has whatever they spawn. A snapshot then has all members of a group with what
/// has become of them; once it was [cancelled](Group::cancel), those that live on are its stragglers.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let upload = diag::group("upload", "photos/7.jpg");
/// for part in 0..10 {
///     let cancelled = upload.cancelled();
///     upload.spawn(part, async move {
///         // tokio::select! { () = cancelled => .., sent = send(part) => .. }
///         cancelled.await;
///     });
/// }
/// upload.cancel("the client went away");
/// # while !upload.is_empty() { tokio::task::yield_now().await }
/// # }
/// ```
///
/// # Asked to end, or aborted
///
/// [`cancel`](Group::cancel) only asks, as a token of `tokio-util` does: a member sees it where it waits for
/// [`cancelled`](Group::cancelled), and can take back what it has half done, as a part that the store already has. Who needs
/// no such thing calls [`abort`](Group::abort), as of a `JoinSet`: its tasks are dropped at their next `.await`. Either
/// way it is recorded when, and for each member how long it took to end.
///
/// A service that has a token of its own keeps it: `group.cancel(..)` beside `token.cancel()`.
#[track_caller]
pub fn group(kind: &'static str, name: impl Display) -> Group {
    let name = Value::of(&name);
    let scope = scope(kind, &name);
    Group { state: GroupState::new(kind, Location::caller(), &name.to_string()), scope }
}

/// Tasks that belong together, made by [`group`]. Clones are the same group, which is known as long as one of them or a member
/// lives. Dropping it ends no member.
#[derive(Clone)]
pub struct Group {
    state: Arc<GroupState>,
    scope: Scope,
}

impl Group {
    /// Spawns a member as [`diag::spawn`](crate::spawn) does, under a name that tells it from the others: the number of a part.
    ///
    /// In a group that was aborted it is aborted at once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[track_caller]
    pub fn spawn<F>(&self, name: impl Display, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let name = Value::of(name).to_string();
        let spawn = Spawn::new(Location::caller(), Kind::Task).named(Some(&name), self.scope.labels());
        let member = self.join(name, future);
        let id = member.id();
        let handle = spawn.on_current_runtime_as::<F, _>(member);
        let is_aborted = self.state.members().set_abort_handle(id, || handle.abort_handle());
        if is_aborted {
            handle.abort();
        }
        handle
    }

    /// Makes a future a member, for whoever spawns it otherwise or polls it in place: by a `JoinSet`, in a `select!`. What it
    /// spawns has the label of the group.
    pub fn track<F: Future>(&self, name: impl Display, future: F) -> InGroup<super::Scoped<F>> {
        self.join(Value::of(name).to_string(), self.scope.run(future))
    }

    fn join<F>(&self, name: String, future: F) -> InGroup<F> {
        InGroup::new(Arc::clone(&self.state), name, future)
    }

    /// Asks all members to end, and records why and when; true the first time, and later times change nothing.
    ///
    /// Members see it by [`cancelled`](Group::cancelled) or [`is_cancelled`](Group::is_cancelled). Those that do not look go on.
    pub fn cancel(&self, reason: impl Display) -> bool {
        self.ask(reason, Ask::ToEnd)
    }

    /// Does as [`cancel`](Group::cancel), and aborts the members that were [spawned](Group::spawn) by the group: these are dropped
    /// at their next `.await`. True if nobody had cancelled it before.
    pub fn abort(&self, reason: impl Display) -> bool {
        let is_first = self.ask(reason, Ask::ToAbort);
        // The handles are taken out first: whoever is aborted may end here and now.
        let handles = self.state.members().abort_handles();
        handles.iter().for_each(super::AbortHandle::abort);
        is_first
    }

    fn ask(&self, reason: impl Display, ask: Ask) -> bool {
        self.state.cancel(&Value::of(reason).to_string(), ask)
    }

    /// True once it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.state.is_cancelled()
    }

    /// Waits until the group is cancelled; at once if it is already. Cancel safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        let state = Arc::clone(&self.state);
        async move { state.cancelled().await }
    }

    /// Returns how many members live.
    pub fn len(&self) -> usize {
        self.state.members().len()
    }

    /// True if no member lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("kind", &self.state.site().kind())
            .field("name", &self.state.name())
            .field("len", &self.len())
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
