//! What stands before every page: the headers, the `Host` check, the token.
//!
//! A listener on loopback is no boundary by itself: any page of a browser can send requests to it
//! under a name of its own that points here. So a request must name a host that we know. There are
//! no CORS headers. What touches a service is no GET, and comes from a page of ours or from no page.

use std::path::PathBuf;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{StatusCode, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::code::{Code, Editor};
use crate::mount::Mount;

/// Names under which a viewer on this machine is reached.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const COOKIE_NAME: &str = "diag_token";

/// Nothing runs in what is no page. Pages say otherwise for the scripts of ours.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Under `no-referrer` browsers send `Origin: null` with the forms of our own pages.
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// Who may read. The default: whoever is on this machine.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Access {
    /// Host names besides those of loopback under which the viewer may be reached.
    pub hosts: Vec<String>,
    /// What readers must know: letters, digits and `-._~`. Also given to the agents that are asked.
    pub token: Option<String>,
    /// Nothing that touches a service is offered.
    pub read_only: bool,
    /// How often running services are asked for a snapshot though nobody looks; none: only when a page is loaded.
    pub poll_every: Option<Duration>,
    /// A folder in which the snapshots of running services are kept, and found again.
    pub keep: Option<PathBuf>,
    /// A folder with the source code of services, of which lines are shown.
    pub source_root: Option<PathBuf>,
    /// The editor that opens such lines.
    pub editor: Option<Editor>,
}

impl Access {
    /// Adds a host name under which the viewer may be reached.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Asks readers for a token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Offers nothing that touches a service.
    #[must_use]
    pub fn with_read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Asks running services for a snapshot every so often, also when nobody looks.
    #[must_use]
    pub fn with_polling(mut self, every: Duration) -> Self {
        self.poll_every = Some(every);
        self
    }

    /// Keeps the snapshots of running services in a folder, which must be there.
    #[must_use]
    pub fn with_keep(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keep = Some(folder.into());
        self
    }

    /// Shows lines of the source code below a folder: to all who may read.
    #[must_use]
    pub fn with_source_root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.source_root = Some(folder.into());
        self
    }

    /// Lets an editor open the lines that are shown.
    #[must_use]
    pub fn with_editor(mut self, editor: Editor) -> Self {
        self.editor = Some(editor);
        self
    }

    /// The source code to show; none if there is none, or it cannot be read.
    pub(crate) fn code(&self) -> Option<Code> {
        Code::new(self.source_root.as_ref()?, self.editor.clone()).ok()
    }

    fn allows_host(&self, headers: &HeaderMap) -> bool {
        let authority = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        authority.is_some_and(|authority| {
            let known = LOOPBACK.into_iter().chain(self.hosts.iter().map(String::as_str));
            known.into_iter().any(|host| host.eq_ignore_ascii_case(authority.host()))
        })
    }

    fn allows_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer =
            headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = cookies.flat_map(|value| value.split("; "));
        let cookies = cookies.filter_map(|cookie| cookie.strip_prefix(COOKIE_NAME)?.strip_prefix('='));
        bearer.into_iter().chain(cookies).any(|given| is_same(given, token))
    }

    /// True of what only reads, and of a request that no page of another site sent: browsers tell whose it is.
    fn allows_site(&self, request: &Request) -> bool {
        let header =
            |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let same_site =
            header(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| site == "same-origin");
        let own = header(HOST).unwrap_or_default();
        // A proxy may speak TLS for us.
        let is_own = |origin: &str| {
            let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            host.is_some_and(|host| host.eq_ignore_ascii_case(own))
        };
        let same_origin = header(ORIGIN).is_none_or(is_own);
        request.method().is_safe() || (same_site && same_origin)
    }

    /// The answer to a launch address `/?token=..`: a cookie, and the page without the token in its
    /// address.
    fn launch(&self, request: &Request) -> Option<Response> {
        let query = request.uri().query().filter(|_| request.uri().path() == "/")?;
        let given = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
        let token = self.token.as_deref().filter(|token| is_same(given, token))?;
        let mount = Mount::of(request);
        let cookie = format!("{COOKIE_NAME}={token}; HttpOnly; SameSite=Strict; Path={}", mount.path());
        let home = [(LOCATION, mount.path().to_owned()), (SET_COOKIE, cookie)];
        Some((StatusCode::SEE_OTHER, home).into_response())
    }
}

/// In a time that depends on the length of what was given alone.
fn is_same(given: &str, token: &str) -> bool {
    let differing = given.bytes().zip(token.bytes().cycle()).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == token.len() && differing == 0
}

/// Answers in place of the pages what may not be read, and adds the headers to every answer.
pub(crate) async fn guard(
    State(access): State<std::sync::Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if !access.allows_host(request.headers()) {
        let next = "open it as http://127.0.0.1, or allow the name with `--allow-host`";
        (StatusCode::FORBIDDEN, format!("this viewer does not go by that host name: {next}\n"))
            .into_response()
    } else if !access.allows_site(&request) {
        let next = "go to the viewer's own page and do it there";
        (StatusCode::FORBIDDEN, format!("a page of another site asked for this: {next}\n")).into_response()
    } else if let Some(launched) = access.launch(&request) {
        launched
    } else if !access.allows_token(request.headers()) {
        let next = "open the address that `diag serve` printed, or send `Authorization: Bearer TOKEN`";
        (StatusCode::UNAUTHORIZED, format!("this viewer asks for a token: {next}\n")).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
