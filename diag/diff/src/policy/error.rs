//! Why a policy is refused, and where.

use std::fmt;

/// Why a policy is refused, and where.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicyError {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not TOML.
    Syntax(String),
    /// The file is of another version.
    Version(String),
    /// No such key.
    UnknownKey {
        /// The key with the tables that it is in.
        key: String,
        /// The most similar key that there is.
        nearest: String,
    },
    /// A value of the wrong type or outside of its range.
    Value {
        /// The key with the tables that it is in.
        key: String,
        /// What it must be.
        must: &'static str,
    },
    /// An entry of a list lacks something.
    Lacks {
        /// The list.
        list: &'static str,
        /// What it lacks.
        what: &'static str,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::Syntax(text) => f.write_str(text),
            Problem::Version(found) => {
                write!(f, "key `version` is {}, but this program knows version 1 only", found.escape_debug())
            }
            Problem::UnknownKey { key, nearest } => {
                write!(f, "unknown key `{}`, did you mean `{nearest}`?", key.escape_debug())
            }
            Problem::Value { key, must } => write!(f, "key `{key}` must be {must}"),
            Problem::Lacks { list, what } => write!(f, "this `[[{list}]]` needs {what}"),
        }
    }
}

impl std::error::Error for PolicyError {}
