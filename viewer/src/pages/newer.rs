//! Where a page leads that is told of newer snapshots: to itself, as it is of the newest.

use axum::http::Uri;

use super::steps::kept;

/// The address of the same page over the newest snapshot.
pub(super) fn address(uri: &Uri) -> String {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if let Some((id, rest)) = path.strip_prefix("/s/").and_then(|rest| rest.split_once('/')) {
        let query = kept(query);
        return match rest.starts_with("site/") {
            // A spawn site has another place in another snapshot.
            true => joined(&format!("/s/live/{rest}"), &[&format!("from={id}"), &query]),
            false => joined(&format!("/s/live/{rest}"), &[&query]),
        };
    }
    if let Some((pair, rest)) =
        path.strip_prefix("/d/").map(|path| path.split_once('/').unwrap_or((path, "")))
        && let Some((before, _)) = pair.split_once("..")
    {
        return match rest.split_once('/') {
            Some(("v", id)) => format!("/f/{id}"),
            _ if rest.is_empty() => format!("/d/{before}..live"),
            _ => joined(&format!("/d/{before}..live/{rest}"), &[&kept(query)]),
        };
    }
    // What was posted cannot be asked for again.
    if matches!(path, "/ask" | "/snapshot") { "/".to_owned() } else { joined(path, &[query]) }
}

fn joined(path: &str, queries: &[&str]) -> String {
    let queries: Vec<&str> = queries.iter().copied().filter(|query| !query.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    format!("{path}{mark}{}", queries.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_to_the_newest_of_itself() {
        for (page, newest) in [
            ("/", "/"),
            ("/?every=5", "/?every=5"),
            ("/f/b8aa", "/f/b8aa"),
            ("/s/0123456789/tasks?group=await&after=7-8&q=", "/s/live/tasks?group=await"),
            ("/s/0123456789/site/3?sort=idle", "/s/live/site/3?from=0123456789&sort=idle"),
            ("/s/0123456789/heap?root=5&invert=true", "/s/live/heap?invert=true"),
            ("/d/aa..bb", "/d/aa..live"),
            ("/d/aa..bb/heap?mode=after&site=3", "/d/aa..live/heap?mode=after"),
            ("/d/aa..bb/v/b8aa", "/f/b8aa"),
            ("/snapshot", "/"),
        ] {
            assert_eq!(address(&page.parse().expect("an address")), newest);
        }
    }
}
