//! Requests in flight, with records.
//!
//! A server runs a handler inside of the task of its connection, so that what waits is the connection, with hundreds of others at
//! the same line of the server's. With this layer each request is a row of its own, from the call to its response, which knows
//! the `.await` of the handler that it waits at, how long, and how much memory it holds. The body that follows a response is
//! the connection's.

use std::panic::Location;
use std::task::{Context, Poll};

use crate::task::TrackedFuture;
use crate::task::track_at;

/// Records each request of a service as [`task::track`](crate::task::track) does. The site of all of them is the line where the
/// layer was [made](Layer::new): one for each route tells these apart, or a [name](Layer::name_by).
///
/// In axum, a middleware does the same without this feature:
/// `from_fn(|request: Request, next: Next| diag::task::track(next.run(request)))`.
///
/// ```
/// # fn serve<S>(service: S) -> impl Sized {
/// use tower_layer::Layer as _;
///
/// // As `axum::Router::layer` does, `tower::ServiceBuilder::layer` or tonic's `Server::builder().layer`.
/// diag::tower::Layer::new().layer(service)
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Layer<N = Unnamed> {
    location: &'static Location<'static>,
    name: N,
}

impl Layer {
    /// Makes a layer; the caller's line is the site of the requests.
    #[track_caller]
    #[must_use]
    pub fn new() -> Self {
        Layer { location: Location::caller(), name: Unnamed }
    }

    /// Names each request by what this function says of it, such as its route. Without one, a request has no name.
    ///
    /// It is called for each request, and the name is kept as long as that is in flight.
    ///
    /// ```
    /// # struct Request { route: &'static str }
    /// diag::tower::Layer::new().name_by(|request: &Request| Some(request.route.to_owned()));
    /// ```
    #[must_use]
    pub fn name_by<N>(self, name: N) -> Layer<N> {
        Layer { location: self.location, name }
    }
}

impl Default for Layer {
    #[track_caller]
    fn default() -> Self {
        Layer::new()
    }
}

impl<S, N: Clone> tower_layer::Layer<S> for Layer<N> {
    type Service = Service<S, N>;

    fn layer(&self, inner: S) -> Service<S, N> {
        Service { inner, layer: self.clone() }
    }
}

/// A service whose requests are recorded, made by [`Layer`].
#[derive(Clone, Copy, Debug)]
pub struct Service<S, N = Unnamed> {
    inner: S,
    layer: Layer<N>,
}

impl<S, N, R> tower_service::Service<R> for Service<S, N>
where
    S: tower_service::Service<R>,
    N: NameOf<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TrackedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let name = self.layer.name.name_of(&request);
        track_at(self.layer.location, name.as_deref(), self.inner.call(request))
    }
}

/// Requests have no names.
#[derive(Clone, Copy, Debug)]
pub struct Unnamed;

/// Names requests of type `R`: [`Unnamed`], or a function.
pub trait NameOf<R> {
    /// The name of this request, if it has one.
    fn name_of(&self, request: &R) -> Option<String>;
}

impl<R> NameOf<R> for Unnamed {
    fn name_of(&self, _request: &R) -> Option<String> {
        None
    }
}

impl<R, F: Fn(&R) -> Option<String>> NameOf<R> for F {
    fn name_of(&self, request: &R) -> Option<String> {
        self(request)
    }
}
