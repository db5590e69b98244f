//! A variable that could not be used, and the one that was meant.

use std::fmt;

use crate::options::OPTIONS;

/// An environment variable that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    name: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// As templates make it where a value is missing.
    Empty,
    Unknown {
        nearest: &'static str,
    },
    Value {
        value: String,
        expected: &'static str,
    },
}

impl BadSetting {
    /// Name of the variable.
    pub fn variable(&self) -> &str {
        &self.name
    }

    pub(crate) fn empty(name: &str) -> Self {
        BadSetting { name: name.to_owned(), fault: Fault::Empty }
    }

    pub(crate) fn value(name: &str, value: &str, expected: &'static str) -> Self {
        BadSetting { name: name.to_owned(), fault: Fault::Value { value: value.to_owned(), expected } }
    }

    pub(crate) fn unknown(name: &str) -> Self {
        let known = OPTIONS.iter().map(|option| option.variable);
        let nearest = known.max_by_key(|known| common(known, name)).unwrap_or("DIAG");
        BadSetting { name: name.to_owned(), fault: Fault::Unknown { nearest } }
    }
}

/// Letters that two names share at their beginnings and ends: enough to find the one that was meant.
fn common(a: &str, b: &str) -> usize {
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    same(&mut a.bytes().zip(b.bytes())) + same(&mut a.bytes().rev().zip(b.bytes().rev()))
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.fault {
            Fault::Empty => write!(f, "{name} is empty, which counts as not set"),
            Fault::Unknown { nearest } => {
                write!(f, "{name} is not a setting of diag; did you mean {nearest}?")
            }
            Fault::Value { value, expected } => {
                write!(f, "{name}={} cannot be used: expected {expected}", value.escape_debug())
            }
        }
    }
}

impl std::error::Error for BadSetting {}
