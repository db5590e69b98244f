//! Other words for the types and functions of a service: `orders::hub::serve::{{closure}}` becomes three words and
//! `::{{closure}}`. Of std, tokio and well-known crates all stays, wherever in a name it stands.

use std::iter;

use super::words::Key;
use crate::allocation_kind;
use crate::await_point;
use crate::runtime_frames::{CRATES, is_library_file, package};

/// Crates that many services have, besides those that the rules know.
const WELL_KNOWN: &[&str] = &[
    "anyhow",
    "async_stream",
    "async_trait",
    "axum",
    "axum_core",
    "backtrace",
    "diag_tracing",
    "futures",
    "futures_core",
    "futures_executor",
    "futures_io",
    "futures_sink",
    "futures_task",
    "h2",
    "http",
    "http_body",
    "http_body_util",
    "httparse",
    "hyper",
    "hyper_util",
    "lock_api",
    "log",
    "matchit",
    "mio",
    "once_cell",
    "opentelemetry",
    "parking_lot",
    "parking_lot_core",
    "pin_project",
    "pin_project_lite",
    "pin_utils",
    "proc_macro",
    "rayon",
    "reqwest",
    "rustls",
    "serde",
    "serde_core",
    "serde_json",
    "socket2",
    "test",
    "thiserror",
    "tokio_rustls",
    "tokio_stream",
    "tonic",
    "tower",
    "tower_http",
    "tower_layer",
    "tower_service",
    "tracing",
    "tracing_core",
    "tracing_futures",
    "tracing_subscriber",
    "want",
];

/// Words of the language.
const LANGUAGE: &[&str] = &[
    "as", "async", "bool", "char", "const", "crate", "dyn", "extern", "f32", "f64", "fn", "for", "i128",
    "i16", "i32", "i64", "i8", "impl", "isize", "mut", "self", "Self", "static", "str", "u128", "u16", "u32",
    "u64", "u8", "unsafe", "usize", "where",
];

/// What compilers write into braces.
const IN_BRACES: &[&str] = &[
    "async_block",
    "async_block_env",
    "async_closure",
    "async_closure_env",
    "async_fn",
    "async_fn_env",
    "closure",
    "closure_env",
    "constant",
    "constructor",
    "coroutine",
    "extern",
    "gen_block",
    "impl",
    "shim",
    "static",
    "vtable",
];

/// Functions of no crate: the allocator's and the C library's.
const SYMBOLS: &[&str] = &[
    "calloc",
    "clone",
    "clone3",
    "epoll_wait",
    "free",
    "main",
    "malloc",
    "memcpy",
    "mmap",
    "munmap",
    "posix_memalign",
    "realloc",
    "start_thread",
    "syscall",
];
/// How others of these begin, which nobody else names anything by.
const SYMBOL_STARTS: &[&str] = &["__rust", "__rdl_", "__rg_", "_rjem_", "__libc_start", "__GI_", "_start"];

/// What diag itself says where it has no name.
pub(super) fn is_told_by_diag(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "(missing stack)",
        "(no module)",
        "(no name)",
        "(opened at an unknown place)",
        "(other sites)",
        "(spawned without diag)",
        "(type not known)",
        "(untracked)",
        "(evicted)",
        "(other)",
    ];
    WORDS.contains(&text)
}

/// True of a crate whose names tell nothing of the service.
pub(super) fn is_known_crate(name: &str) -> bool {
    CRATES.contains(&name)
        || WELL_KNOWN.contains(&name)
        || await_point::crates().any(|known| known == name)
        || allocation_kind::crates().any(|known| known == name)
}

/// The name with other words. If it is that of a function in this file, which is a well-known crate's, it is
/// that crate's, too: an inlined function often lacks its path.
pub(super) fn rename(name: &str, file: Option<&str>, key: &Key) -> String {
    if is_told_by_diag(name) {
        return name.to_owned();
    }
    let mut renamer = Renamer {
        key,
        out: String::with_capacity(name.len()),
        path: Path { is_known: false, is_new: true },
        outside: Vec::new(),
        braces: 0,
        is_of_known_file: file.is_some_and(is_of_known_crate),
    };
    for (first, token, after) in tokens(name) {
        if is_word(first) { renamer.word(token, after) } else { renamer.mark(first, after) }
    }
    renamer.out
}

fn is_of_known_crate(file: &str) -> bool {
    is_library_file(file)
        && (file.contains("/library/")
            || file.split('/').filter_map(package).any(|name| is_known_crate(&name.replace('-', "_"))))
}

/// Words and the marks between them: how each begins, itself, and what comes after it.
fn tokens(name: &str) -> impl Iterator<Item = (char, &str, &str)> {
    let mut rest = name;
    iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = match is_word(first) {
            true => rest.find(|char| !is_word(char)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some((first, token, after))
    })
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// A path `a::b::c`, as far as it was read.
#[derive(Clone, Copy)]
struct Path {
    /// Its words stay.
    is_known: bool,
    /// None of it was read yet.
    is_new: bool,
}

struct Renamer<'a> {
    key: &'a Key,
    out: String,
    path: Path,
    /// The paths outside of the brackets that are open. What a bracket without a path before it holds is a type, or a type
    /// and its trait, and gives what follows it its owner.
    outside: Vec<(Path, bool)>,
    braces: usize,
    is_of_known_file: bool,
}

impl Renamer<'_> {
    fn word(&mut self, word: &str, after: &str) {
        let is_kept = if self.braces > 0 {
            IN_BRACES.contains(&word) || is_number(word)
        } else if self.path.is_new {
            self.begin(word, after)
        } else {
            self.path.is_known
        };
        self.path.is_new = false;
        // `T` is nobody's name, and rules know it by its length.
        if is_kept || is_number(word) || (word.len() <= 2 && !self.outside.is_empty()) {
            self.out += word;
        } else {
            self.out += &self.key.word(word);
        }
    }

    /// The first word of a path: whether it stays, which all of its words then do.
    fn begin(&mut self, word: &str, after: &str) -> bool {
        if LANGUAGE.contains(&word) {
            return true;
        }
        let is_alone = !after.starts_with("::") || self.is_closure_only(after);
        self.path.is_known = match is_alone {
            false => is_known_crate(word),
            true => {
                SYMBOLS.contains(&word)
                    || SYMBOL_STARTS.iter().any(|start| word.starts_with(start))
                    || (self.is_of_known_file && self.outside.is_empty())
            }
        };
        self.path.is_known
    }

    /// `poll::{{closure}}` is as much without a path as `poll` is.
    fn is_closure_only(&self, after: &str) -> bool {
        self.is_of_known_file && after.split("::").skip(1).all(|part| part.starts_with('{'))
    }

    fn mark(&mut self, mark: char, after: &str) {
        let is_arrow = mark == '>' && self.out.ends_with('-');
        match mark {
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            _ if self.braces > 0 => {}
            '<' | '(' | '[' => {
                let gives_owner = mark == '<' && self.path.is_new;
                self.outside.push((self.path, gives_owner));
                self.path = Path { is_known: false, is_new: true };
            }
            '>' | ')' | ']' if !is_arrow => {
                let inside = self.path;
                if let Some((path, gives_owner)) = self.outside.pop() {
                    self.path = if gives_owner { inside } else { path };
                    self.path.is_new = false;
                }
            }
            // Between two colons it goes on; after one that stands alone it does not.
            ':' if after.starts_with(':') || self.out.ends_with(':') => {}
            _ => self.path = Path { is_known: false, is_new: true },
        }
        self.out.push(mark);
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.chars().all(|char| char.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name, with what is anonymized in capitals: `X` for each word.
    fn shape(name: &str, file: Option<&str>) -> String {
        let renamed = rename(name, file, &Key::of_text("any"));
        let mut out = String::new();
        for (_, token, _) in tokens(&renamed) {
            out += if name.contains(token) { token } else { "X" };
        }
        out
    }

    #[test]
    fn words_of_the_service_are_other_ones_and_those_of_libraries_stay() {
        for (name, expected) in [
            ("orders::hub::serve::{{closure}}", "X::X::X::{{closure}}"),
            (
                "tokio::sync::mpsc::Rx<T,S>::recv::{{closure}}",
                "tokio::sync::mpsc::Rx<T,S>::recv::{{closure}}",
            ),
            ("<orders::Order as core::fmt::Debug>::fmt", "<X::X as core::fmt::Debug>::fmt"),
            ("<orders::Order as orders::Save>::save", "<X::X as X::X>::X"),
            ("<alloc::vec::Vec<orders::Order>>::push", "<alloc::vec::Vec<X::X>>::push"),
            (
                "tokio::runtime::task::core::Cell<orders::serve::{closure#0}, S>::new",
                "tokio::runtime::task::core::Cell<X::X::{closure#0}, S>::new",
            ),
            ("core::ptr::drop_in_place<[orders::Line; 12]>", "core::ptr::drop_in_place<[X::X; 12]>"),
            ("<dyn orders::Store>::get", "<dyn X::X>::X"),
            ("fn(orders::Order) -> alloc::string::String", "fn(X::X) -> alloc::string::String"),
            ("orders::load<tokio::net::TcpStream>::inner", "X::X<tokio::net::TcpStream>::X"),
            ("__rust_alloc", "__rust_alloc"),
            ("orders_native_init", "X"),
            ("(type not known)", "(type not known)"),
            (
                "<&mut orders::Order as core::future::Future>::poll",
                "<&mut X::X as core::future::Future>::poll",
            ),
        ] {
            assert_eq!(shape(name, None), expected, "{name}");
        }
    }

    #[test]
    fn an_inlined_function_is_of_its_file() {
        let tokio = Some("/r/registry/src/i/tokio-1.47.0/src/runtime/task/mod.rs");
        assert_eq!(shape("poll<orders::Order>", tokio), "poll<X::X>");
        assert_eq!(shape("poll<Order>", tokio), "poll<X>");
        assert_eq!(shape("{closure#0}<Order>", tokio), "{closure#0}<X>");
        assert_eq!(shape("poll", Some("src/hub.rs")), "X");
        assert_eq!(shape("poll", Some("/r/registry/src/i/acme-1.0.0/src/lib.rs")), "X");
    }

    #[test]
    fn any_text_is_a_name() {
        for text in ["", "<", ">>>::", "a::<", "{{{", "é::ü", "->>", "::", "<<a as b", "a<b>c<d"] {
            rename(text, Some(text), &Key::of_text("any"));
        }
    }
}
