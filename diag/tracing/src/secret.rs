//! What looks like a secret.
//!
//! An id is short, or hexadecimal digits of 64 or 128 bits, or words. A key is long and without words. Between them is what
//! nobody can tell apart: it counts as a secret, as an id that is missing is less of a loss than a key that is shown.

/// What stands before a secret, in lower case.
const ANNOUNCED: [&str; 11] = [
    "bearer ",
    "basic ",
    "authorization",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "-----begin",
];
/// The same, where `=` or `:` follows.
const NAMES: [&str; 8] = ["pwd", "pass", "token", "key", "sig", "signature", "session", "cookie"];
/// How keys of well-known makes begin.
const MAKES: [&str; 16] = [
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "sk-",
    "sk_live_",
    "rk_live_",
];
/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 32;
/// Characters that a key of 128 bits has in base64.
const KEY: usize = 22;
/// Longest word of an id that is made of several.
const WORD: usize = 16;
/// A key of 256 bits in base64 has three more.
const LONG_KEY: usize = 40;

/// True if a text has something that looks like a secret.
pub(crate) fn is_secret(text: &str) -> bool {
    // Most ids are a number or a UUID, for which the rest is too slow.
    if text.split('-').all(|part| part.len() <= ID_DIGITS && is_hex(part)) {
        return false;
    }
    says_secret(text)
        || has_userinfo(text)
        || text.split(|char| !is_of_key(char)).any(|run| is_make(run) || is_token(run) || is_key(run))
}

/// True if what stands before a secret stands somewhere, in either case.
fn says_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins = |rest: &[u8], word: &str| {
        rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    (0..bytes.len()).map(|place| &bytes[place..]).filter(|rest| may_begin(rest[0])).any(|rest| {
        ANNOUNCED.iter().any(|word| begins(rest, word))
            || NAMES.iter().any(|name| begins(rest, name) && has_value(&rest[name.len()..]))
    })
}

/// True of the first letters of [`ANNOUNCED`] and [`NAMES`].
fn may_begin(byte: u8) -> bool {
    matches!(byte.to_ascii_lowercase(), b'-' | b'a' | b'b' | b'c' | b'k' | b'p' | b's' | b't')
}

/// `=..`, `": ..`
fn has_value(rest: &[u8]) -> bool {
    let is_quote = |byte: &&u8| matches!(byte, b'"' | b'\'' | b'\\' | b' ');
    let mut rest = rest.iter().skip_while(is_quote);
    matches!(rest.next(), Some(b'=' | b':')) && rest.find(|byte| !is_quote(byte)).is_some()
}

/// `scheme://user:password@host`: whoever is in a URL may come with a password.
fn has_userinfo(text: &str) -> bool {
    text.match_indices("://").any(|(place, slashes)| {
        let rest = &text[place + slashes.len()..];
        rest.split(['/', '?', '#', ' ']).next().is_some_and(|authority| authority.contains('@'))
    })
}

/// A character of a key in hexadecimal, base64, base64url or as a JSON web token.
fn is_of_key(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=' | '-' | '_' | '.' | '%')
}

fn is_make(run: &str) -> bool {
    let mut parts = run.split(['=', '/', '%']);
    parts.any(|part| MAKES.iter().any(|make| part.starts_with(make) && part.len() >= make.len() + 8))
}

/// A JSON web token: three parts, of which the first begins as `{"` does in base64.
fn is_token(run: &str) -> bool {
    run.match_indices("eyJ")
        .any(|(place, _)| run[place..].split('.').nth(1).is_some_and(|part| part.len() >= 8))
}

fn is_key(run: &str) -> bool {
    let plain = run.trim_end_matches('=');
    let words = || plain.split(['-', '_', '.', '/', '+', '%', '=']);
    words().any(|word| match is_hex(word) {
        true => word.len() > ID_DIGITS,
        false => word.len() > ID_DIGITS && has_digit(word),
    }) || (plain.len() >= KEY && is_mixed(plain) && words().any(|word| word.len() >= WORD && is_mixed(word)))
        || (plain.len() >= LONG_KEY
            && is_mixed(plain)
            && words().any(|word| !is_hex(word) && (word.len() >= WORD || is_mixed(word))))
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// Both cases and digits.
fn is_mixed(word: &str) -> bool {
    let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has_digit(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_may_begin() {
        assert!(ANNOUNCED.iter().chain(&NAMES).all(|word| may_begin(word.as_bytes()[0])));
    }

    #[test]
    fn secrets_are_seen() {
        for secret in [
            "Bearer abc",
            "authorization: Basic dXNlcjpwYXNz",
            "user=joe password=hunter2",
            "PASSWORD: hunter2",
            "https://joe:hunter2@db.example.com/orders",
            "see postgres://joe@db/orders",
            "/login?token=abc",
            "{\"key\": \"abc\"}",
            r#"{\"key\": \"abc\"}"#,
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "AKIAIOSFODNN7EXAMPLE",
            "id=AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "sk-abcdefgh1234",
            "aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA==",
            "request 3f786850e387550fdab836ed7e6dc881de23001b",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "-----BEGIN PRIVATE KEY-----",
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPA",
            "x%20Bearer%20eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
    }

    #[test]
    fn ids_are_none() {
        for id in [
            "",
            "17",
            "r-1",
            "r-000123",
            "task-000000001234",
            "device-17-session-part-42-of-upload-2026",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "00f067aa0ba902b7",
            "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
            "Root=1-67891233-abcdef012345678912345678",
            "507f1f77bcf86cd799439011",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "V1StGXR8_Z5jdHi6B-myT",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "https://example.com/orders/17",
            "acme",
            "key",
            "monkey: ",
            "ünïcode",
            "12345678901234567890123456789012",
        ] {
            assert!(!is_secret(id), "{id}");
        }
    }
}
