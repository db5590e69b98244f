//! The words that take the place of others.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use diag_snapshot::Snapshot;

use super::names::rename;
use super::paths::rename_path;

/// What the words of one anonymized snapshot, or of several that belong together, are made with. Who does not have it cannot
/// try whether a word is that of a name.
#[derive(Clone)]
pub struct Key(u64);

/// Without vowels, so that no word is one of a language; a power of two.
const LETTERS: &[u8; 16] = b"bcdfghjklmnpqrst";
/// Letters of a word: 48 bits.
const LENGTH: u32 = 12;

impl Key {
    /// The key of all snapshots of one process.
    pub fn of_process(snapshot: &Snapshot) -> Self {
        Key::of("process", snapshot.process.instance)
    }

    /// The key of all snapshots that are anonymized with this text: of several processes that are to be compared.
    pub fn of_text(text: &str) -> Self {
        Key::of("text", text)
    }

    fn of(kind: &str, from: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, from).hash(&mut hasher);
        Key(hasher.finish())
    }

    fn hash(&self, word: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0, word, self.0).hash(&mut hasher);
        hasher.finish()
    }

    /// The word that takes the place of this one. A type stays one by its capital.
    pub(super) fn word(&self, word: &str) -> String {
        let hash = self.hash(word);
        let letter = |at: u32| char::from(LETTERS[(hash >> (4 * at) & 0xf) as usize]);
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        let letters = (0..LENGTH).map(letter).enumerate();
        letters
            .map(|(at, letter)| if at == 0 && capital { letter.to_ascii_uppercase() } else { letter })
            .collect()
    }

    /// A text that people wrote: one word. That a gauge only ever grows is told by its end.
    pub(super) fn text(&self, text: &str) -> String {
        const KEPT: &[&str] = &["", "main", "open files"];
        match text.strip_suffix("_total") {
            _ if KEPT.contains(&text) => text.to_owned(),
            Some(name) => self.word(name) + "_total",
            None => self.word(text),
        }
    }

    /// Hex digits, as many as a build id has.
    pub(super) fn hex(&self, text: &str) -> String {
        let parts = (0..3_u8).map(|part| format!("{:016x}", self.hash((part, text))));
        let mut hex: String = parts.collect();
        hex.truncate(40);
        hex
    }

    /// The process that it was, under another number.
    pub(super) fn instance(&self, instance: u64) -> u64 {
        self.hash(instance)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The keys that diag asks for stay.
pub(super) fn label_key(text: &str, key: &Key) -> String {
    if ["request_id", "trace_id"].contains(&text) { text.to_owned() } else { key.text(text) }
}

/// The names that tokio and diag give to threads stay.
pub(super) fn thread(text: &str, key: &Key) -> String {
    const KEPT: [&str; 3] = ["tokio-runtime-w", "tokio-rt-worker", "diag-"];
    if KEPT.iter().any(|kept| text.starts_with(kept)) { text.to_owned() } else { key.text(text) }
}

/// A port stays, and that it is this machine.
pub(super) fn address(text: &str, key: &Key) -> String {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() || address.ip().is_unspecified() => text.to_owned(),
        Ok(address) => format!("{}:{}", key.word(&address.ip().to_string()), address.port()),
        Err(_) if text.contains('/') => rename_path(text, key),
        Err(_) => key.text(text),
    }
}

/// A sentence of the recorder's, with what the system or a setting put into it: paths and addresses.
pub(super) fn sentence(text: &str, key: &Key) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_matches(['(', ')', ',', ';', '.', ':', '\'', '"', '`']);
        let is_number = bare.chars().all(|char| char.is_ascii_digit() || ".,".contains(char));
        let renamed = match bare {
            "" => return word.to_owned(),
            _ if is_number => return word.to_owned(),
            _ if bare.contains('/') => rename_path(bare, key),
            _ if bare.contains("::") => rename(bare, None, key),
            _ if bare.starts_with("DIAG") && !bare.contains(['=', ':', '.']) => return word.to_owned(),
            _ if bare.contains(['.', ':', '=', '@', '\\', '|']) => key.text(bare),
            _ => return word.to_owned(),
        };
        word.replacen(bare, &renamed, 1)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_with_a_key_and_others_with_another() {
        let (one, other) = (Key::of_text("one"), Key::of_text("other"));
        assert_eq!(one.word("orders"), Key::of_text("one").word("orders"));
        assert_ne!(one.word("orders"), other.word("orders"));
        assert_ne!(one.word("orders"), one.word("order"));
        assert!(one.word("Order").starts_with(char::is_uppercase));
        assert_eq!(format!("{one:?}"), "Key");
    }

    #[test]
    fn what_a_sentence_was_told_is_not_in_it() {
        let key = Key::of_text("any");
        let text = "files: cannot write /var/lib/orders/a.diag (db.acme.example:5432): 3 times, see DIAG_DIR";
        let told = sentence(text, &key);
        for secret in ["orders", "a.diag", "acme", "5432"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert!(told.starts_with("files: cannot write /"), "{told}");
        assert!(told.ends_with(": 3 times, see DIAG_DIR"), "{told}");
    }

    #[test]
    fn a_port_stays_and_a_host_does_not() {
        let key = Key::of_text("any");
        assert_eq!(address("127.0.0.1:80", &key), "127.0.0.1:80");
        let other = address("192.0.2.7:5432", &key);
        assert!(other.ends_with(":5432") && !other.contains("192"), "{other}");
        assert!(!address("@orders", &key).contains("orders"));
        assert!(!address("/run/orders.sock", &key).contains("orders"));
    }
}
