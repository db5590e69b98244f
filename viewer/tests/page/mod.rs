//! A page as its reader has it: its text, its links, and the numbers in the text.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it and uses its own part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::http::StatusCode;

use super::site::Viewer;

/// The text between the tags, without scripts and styles; tags are spaces.
pub fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text += before;
        text.push(' ');
        let hidden = ["script", "style", "head"]
            .into_iter()
            .find(|name| tag.starts_with(name) && !tag.starts_with("header"));
        rest = match hidden.and_then(|name| tag.split_once(&format!("</{name}>"))) {
            Some((_, after)) => after,
            None => tag.split_once('>').map_or("", |(_, after)| after),
        };
    }
    unescape(&(text + rest))
}

pub fn unescape(text: &str) -> String {
    [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, char)| text.replace(entity, char))
    .replace("&#38;", "&")
    .replace("&amp;", "&")
}

/// The values of an attribute, as `href`.
pub fn attributes(html: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    html.split(&begin).skip(1).filter_map(|rest| Some(unescape(rest.split_once('"')?.0))).collect()
}

/// What a link with this text goes to.
pub fn link(html: &str, says: &str) -> Option<String> {
    let anchors =
        html.split("<a ").skip(1).filter_map(|rest| rest.split_once("</a>").map(|(anchor, _)| anchor));
    let found =
        anchors.filter_map(|anchor| anchor.split_once('>')).find(|(_, words)| text(words).trim() == says);
    attributes(&format!(" {}", found?.0), "href").into_iter().next()
}

/// All pages that links lead to from `/`, by their address; of those that differ in numbers and ids alone so many.
pub async fn walk(viewer: &Viewer, most_alike: usize) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let (mut seen, mut alike) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    let mut open = VecDeque::from(["/".to_owned()]);
    while let Some(path) = open.pop_front() {
        let known = alike.entry(kind(&path)).or_default();
        if *known == most_alike {
            continue;
        }
        *known += 1;
        let answer = viewer.whole(&path).await;
        if answer.status.is_redirection() {
            open.push_back(answer.headers["location"].to_str().expect("an address").to_owned());
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        for href in attributes(&answer.body, "href") {
            let to = resolved(&path, &href);
            if is_page(&to) && seen.insert(to.clone()) {
                open.push_back(to);
            }
        }
        pages.insert(path, answer.body);
    }
    pages
}

fn is_page(path: &str) -> bool {
    let other = ["/a/", "/api/", "http"].iter().any(|begin| path.starts_with(begin));
    let file = ["/export/", ".svg", ".json"].iter().any(|part| path.contains(part));
    path.starts_with('/') && !other && !file
}

/// An address as a browser would ask for it, without what is said of a place in the page.
pub fn resolved(page: &str, href: &str) -> String {
    let href = href.split('#').next().unwrap_or(href);
    let path = page.split('?').next().unwrap_or(page);
    match href {
        "" => page.to_owned(),
        query if query.starts_with('?') => format!("{path}{query}"),
        whole => whole.to_owned(),
    }
}

/// A path with its ids and numbers left out, and the names of what its query chooses.
pub fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |part: &&str| part.bytes().any(|byte| byte.is_ascii_digit());
    let path: Vec<&str> = path.split('/').map(|part| if is_id(&part) { "*" } else { part }).collect();
    let keys: BTreeSet<&str> = query.split('&').filter_map(|choice| choice.split('=').next()).collect();
    format!("{} {keys:?}", path.join("/"))
}

/// A number in a text: digits without their commas, and the unit that follows it; a sign is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    pub digits: String,
    pub unit: String,
}

const UNITS: [&str; 14] =
    ["B", "KiB", "MiB", "GiB", "TiB", "ns", "us", "µs", "ms", "s", "min", "h", "d", "%"];

/// The numbers of a text with where they begin and end. Digits inside of words are none: `sha256`, `v1.3`.
pub fn numbers(text: &str) -> Vec<(std::ops::Range<usize>, Number)> {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let begin = at;
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        while digit(at) || matches!(bytes.get(at), Some(b',' | b'.')) && digit(at + 1) {
            at += 1;
        }
        if bytes.get(at) == Some(&b'e')
            && (digit(at + 1) || bytes.get(at + 1) == Some(&b'-') && digit(at + 2))
        {
            at += 2;
            while digit(at) {
                at += 1;
            }
        }
        let is_word = |byte: Option<&u8>| {
            byte.is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128)
        };
        let before = begin.checked_sub(1).and_then(|before| bytes.get(before));
        // A version or a word with digits goes on to its end.
        // Lines of a file and the minutes of a time stand behind a colon.
        let is_line = begin > 1 && bytes[begin - 1] == b':' && bytes[begin - 2] != b' '
            || bytes.get(at) == Some(&b':') && digit(at + 1);
        let is_file = bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
        if is_line || is_file {
            continue;
        }
        if is_word(before) || is_word(bytes.get(at)) {
            while is_word(bytes.get(at)) {
                at += 1;
            }
            continue;
        }
        let after = text[at..].strip_prefix(' ').unwrap_or("");
        let word = after.split(|char: char| !char.is_alphanumeric() && char != '%').next().unwrap_or("");
        let unit = if UNITS.contains(&word) { word } else { "" };
        found.push((begin..at, Number { digits: text[begin..at].replace(',', ""), unit: unit.to_owned() }));
    }
    found
}

/// The fewest clicks from a page to one that is wanted, by links alone: the addresses that are gone through.
pub async fn clicks(
    viewer: &Viewer,
    from: &str,
    most: usize,
    is_wanted: impl Fn(&str, &str) -> bool,
) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut open = VecDeque::from([vec![from.to_owned()]]);
    while let Some(way) = open.pop_front() {
        let path = way.last()?.clone();
        let mut answer = viewer.get(&path).await;
        while answer.status.is_redirection() {
            answer = viewer.get(answer.headers["location"].to_str().expect("an address")).await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        if is_wanted(&path, &answer.body) {
            return Some(way[1..].to_vec());
        }
        if way.len() > most {
            continue;
        }
        for href in attributes(&answer.body, "href") {
            let to = resolved(&path, &href);
            if is_page(&to) && seen.insert(to.clone()) {
                open.push_back([&way[..], &[to]].concat());
            }
        }
    }
    None
}
