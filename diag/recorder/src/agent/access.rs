//! Who may ask: by which name, from which page, with which token.

use std::net::SocketAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Request, Response, StatusCode};

use super::http::Whole;
use super::routes::plain;

/// Which callers are answered.
pub(super) struct Access {
    bound: SocketAddr,
    token: Option<String>,
}

impl Access {
    pub(super) fn new(bound: SocketAddr, token: Option<String>) -> Self {
        Access { bound, token }
    }

    /// The answer to a request that may not be made, whatever it asks for.
    pub(super) fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Whole>> {
        let headers = request.headers();
        if headers.get_all(HOST).iter().count() > 1 {
            return Some(plain(StatusCode::BAD_REQUEST, "send one Host header: nobody has two names\n"));
        }
        let named = request.uri().authority().map(|authority| authority.as_str());
        if !self.goes_by(headers.get(HOST)) || named.is_some_and(|name| !self.is_ours(name)) {
            return Some(plain(
                StatusCode::FORBIDDEN,
                "ask by the name localhost or by the address that the agent logged; by another name only with a DIAG_TOKEN\n",
            ));
        }
        if is_of_another_site(headers) {
            return Some(plain(
                StatusCode::FORBIDDEN,
                "a page of another site asks: open this address by itself, or ask with curl\n",
            ));
        }
        if !self.token_fits(headers) {
            return Some(plain(
                StatusCode::UNAUTHORIZED,
                "send the token: Authorization: Bearer $DIAG_TOKEN\n",
            ));
        }
        None
    }

    /// The answer to a request that does more than look, for polls or for a file, of a page that is not the agent's own. To another port of this
    /// machine a page is of the same site, and its images carry no `Origin`.
    pub(super) fn refusal_to_act<B>(&self, request: &Request<B>) -> Option<Response<Whole>> {
        let mut sites = request.headers().get_all("sec-fetch-site").iter();
        let is_by_hand = sites.all(|site| site == "none" || site == "same-origin");
        let text = "a page asks for more than a look: open this address by itself, or ask with curl\n";
        (!is_by_hand).then(|| plain(StatusCode::FORBIDDEN, text))
    }

    fn goes_by(&self, host: Option<&HeaderValue>) -> bool {
        host.and_then(|host| host.to_str().ok()).is_some_and(|host| self.is_ours(host))
    }

    /// A page elsewhere may rebind its own name to our address and read us through a visitor's
    /// browser; it cannot make the browser send another `Host`, nor a token that it does not know.
    /// Where everybody may read, there is nothing to guard.
    fn is_ours(&self, host: &str) -> bool {
        if self.token.is_some() || !is_loopback(self.bound) {
            return true;
        }
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| port.parse::<u16>().is_ok())
            .map_or(host, |(name, _)| name);
        let ip = self.bound.ip().to_string();
        ["localhost", "127.0.0.1", "[::1]", &ip, &format!("[{ip}]")]
            .iter()
            .any(|ours| ours.eq_ignore_ascii_case(name))
    }

    fn token_fits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        sent.is_some_and(|sent| is_same(sent, token.as_bytes()))
    }
}

/// True if only callers on this machine reach what listens there.
pub(super) fn is_loopback(addr: SocketAddr) -> bool {
    addr.ip().to_canonical().is_loopback()
}

/// A browser says when a page of somebody else asks. It could not read the answer, but it would make us
/// capture.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let is_own_page = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let site = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
        site.is_some_and(|site| site.eq_ignore_ascii_case(host))
    };
    headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site")
        || headers.get_all(ORIGIN).iter().any(|origin| !is_own_page(origin))
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.split_at_checked(b"bearer".len())?;
    let token = rest.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(b"bearer"))?;
    Some(token.trim_ascii())
}

/// In a time that depends on the length of what was sent alone: one that stops at the first difference
/// would tell a guesser how far it got.
fn is_same(sent: &[u8], token: &[u8]) -> bool {
    let differing = sent.iter().zip(token.iter().cycle()).fold(0, |all, (a, b)| all | (a ^ b));
    sent.len() == token.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:9797";

    /// The status of a request with these headers, if it is refused.
    fn status(bound: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::get("/dump");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let access = Access::new(bound.parse().unwrap(), token.map(str::to_owned));
        access.refusal(&request.body(()).unwrap()).map(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn by_which_name() {
        for host in ["localhost", "LOCALHOST:9797", "127.0.0.1:9797", "[::1]:1"] {
            assert_eq!(status(LOOPBACK, None, &[("host", host)]), None, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1:99999", "10.1.2.3", "", "localhost:"]
        {
            assert_eq!(status(LOOPBACK, None, &[("host", host)]), Some(403), "{host}");
            // Two of three are no names, and with a token it does not matter.
            let sent = [("host", host), ("authorization", "Bearer hush")];
            assert_eq!(status(LOOPBACK, Some("hush"), &sent), None, "{host}");
            assert_eq!(status("0.0.0.0:9797", None, &[("host", host)]), None, "{host}");
        }
        assert_eq!(status("[::ffff:127.0.0.1]:9797", None, &[("host", "evil.example")]), Some(403));
        assert_eq!(status(LOOPBACK, None, &[]), Some(403));
        assert_eq!(status("0.0.0.0:9797", None, &[]), Some(403));
        assert_eq!(status(LOOPBACK, None, &[("host", "localhost"), ("host", "localhost")]), Some(400));
        let sent = [("host", "a"), ("host", "b"), ("authorization", "Bearer hush")];
        assert_eq!(status(LOOPBACK, Some("hush"), &sent), Some(400));
    }

    #[test]
    fn from_which_page() {
        let from = |name, value| status(LOOPBACK, None, &[("host", LOOPBACK), (name, value)]);
        assert_eq!(from("sec-fetch-site", "cross-site"), Some(403));
        assert_eq!(from("sec-fetch-site", "none"), None);
        assert_eq!(from("sec-fetch-site", "same-origin"), None);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1", "file://"]
        {
            assert_eq!(from("origin", origin), Some(403), "{origin}");
        }
        assert_eq!(from("origin", "http://127.0.0.1:9797"), None);
        assert_eq!(from("origin", "https://127.0.0.1:9797"), None, "behind a proxy that speaks TLS");
        let sent = [("host", LOOPBACK), ("authorization", "Bearer hush"), ("origin", "http://evil.example")];
        assert_eq!(status(LOOPBACK, Some("hush"), &sent), Some(403), "with a token, too");
    }

    #[test]
    fn with_which_token() {
        let sent = |token, value| status(LOOPBACK, Some(token), &[("host", "any"), ("authorization", value)]);
        for value in ["Bearer hush", "bearer hush", "BEARER hush", "bEaReR  hush "] {
            assert_eq!(sent("hush", value), None, "{value}");
        }
        for value in [
            "",
            "hush",
            "Bearer",
            "Bearer ",
            "Bearer hus",
            "Bearer hushh",
            "Bearer hushhush",
            "Bearer husH",
            "Basic hush",
            "Bearerhush",
        ] {
            assert_eq!(sent("hush", value), Some(401), "{value}");
        }
        assert_eq!(status(LOOPBACK, Some("hush"), &[("host", "localhost")]), Some(401));
    }
}
