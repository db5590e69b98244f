//! What a rule can be told: one declaration for its typed thresholds, its keys in `diag.toml`, what is said of a
//! wrong one, its table in `VERDICTS.md` and what `diag explain` prints.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// A threshold of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Param {
    /// Its key in the rule's table of `diag.toml`.
    pub name: &'static str,
    /// What kind of value it is, which says the unit and the bounds.
    pub kind: Kind,
    /// What holds where the policy says nothing.
    pub default: Value,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

/// A kind of value: its unit and its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A number of things.
    Count,
    /// A size.
    Bytes,
    /// A yes or no.
    Flag,
    /// A multiple of something, at least once it.
    Factor,
    /// A part of something that may exceed it: 0.1 for 10 %.
    Ratio,
    /// A part of a whole.
    Share,
    /// A part of a whole, in percent.
    Percent,
    /// The largest p of a statistical test.
    Probability,
    /// A time.
    Seconds,
    /// A rate.
    PerSecond,
}

impl Kind {
    /// Returns what a value must be.
    pub fn must(self) -> &'static str {
        match self {
            Kind::Count => "a whole number, 0 or more",
            Kind::Bytes => "a whole number of bytes, 0 or more",
            Kind::Flag => "true or false",
            Kind::Factor => "1 or more",
            Kind::Ratio | Kind::PerSecond => "0 or more",
            Kind::Seconds => "0 or more",
            Kind::Share => "a share from 0 to 1",
            Kind::Percent => "a percentage from 0 to 100",
            Kind::Probability => "a probability from 0 to 1",
        }
    }

    /// Returns true if this kind takes the value.
    pub fn takes(self, value: Value) -> bool {
        match (self, value) {
            (Kind::Count | Kind::Bytes, Value::Whole(_)) | (Kind::Flag, Value::Flag(_)) => true,
            (Kind::Count | Kind::Bytes | Kind::Flag, _) | (_, Value::Flag(_)) => false,
            (kind, value) => {
                let number = f64::of(value).unwrap_or(f64::NAN);
                match kind {
                    Kind::Factor => number >= 1.0,
                    Kind::Share | Kind::Probability => (0.0..=1.0).contains(&number),
                    Kind::Percent => (0.0..=100.0).contains(&number),
                    _ => number >= 0.0,
                }
            }
        }
    }
}

/// A value of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any other number.
    Number(f64),
    /// A yes or no.
    Flag(bool),
}

/// As `diag.toml` has it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Whole(number) => number.fmt(f),
            Value::Number(number) if number > 0.0 && number < 1e-3 => write!(f, "{number:e}"),
            Value::Number(number) => write!(f, "{number:?}"),
            Value::Flag(flag) => flag.fmt(f),
        }
    }
}

/// A type that thresholds have in a rule.
pub trait Typed: Sized {
    /// Returns the value, unless it is of another kind.
    fn of(value: Value) -> Option<Self>;
}

impl Typed for u64 {
    fn of(value: Value) -> Option<Self> {
        if let Value::Whole(number) = value { Some(number) } else { None }
    }
}

impl Typed for f64 {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(number),
            Value::Whole(number) => Some(number as f64),
            Value::Flag(_) => None,
        }
    }
}

impl Typed for bool {
    fn of(value: Value) -> Option<Self> {
        if let Value::Flag(flag) = value { Some(flag) } else { None }
    }
}

/// The thresholds of one rule; made by `params!`.
pub trait Params: Default {
    /// Every threshold.
    const TABLE: &'static [Param];

    /// Returns the thresholds with what was given; the others keep their defaults.
    fn with(given: &Given) -> Self;
}

/// No thresholds.
impl Params for () {
    const TABLE: &'static [Param] = &[];

    fn with(_: &Given) -> Self {}
}

/// What a policy gives for the thresholds of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given(BTreeMap<&'static str, Value>);

impl Given {
    /// Returns the value of a threshold if one was given.
    pub fn get<T: Typed>(&self, name: &str) -> Option<T> {
        T::of(*self.0.get(name)?)
    }

    /// Gives a value to a threshold. Fails with what it must be.
    pub fn set(&mut self, param: &Param, value: Value) -> Result<(), &'static str> {
        if !param.kind.takes(value) {
            return Err(param.kind.must());
        }
        self.0.insert(param.name, value);
        Ok(())
    }
}

/// Declares the thresholds of a rule: a struct `Params` with a field, a key, a [`Kind`] and a default for each.
macro_rules! params {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident = $default:expr,)*) => {
        /// What the rule can be told.
        #[derive(Clone, Debug, PartialEq)]
        pub(in crate::rules) struct Params {
            $($(#[doc = $doc])+ pub(in crate::rules) $name: $crate::rules::params::value_type!($kind),)*
        }

        impl Default for Params {
            fn default() -> Self {
                Params { $($name: $default,)* }
            }
        }

        impl $crate::rules::params::Params for Params {
            const TABLE: &'static [$crate::rules::params::Param] = &[
                $($crate::rules::params::Param {
                    name: stringify!($name),
                    kind: $crate::rules::params::Kind::$kind,
                    default: $crate::rules::params::value!($kind, $default),
                    doc: concat!($($doc),+),
                },)*
            ];

            fn with(given: &$crate::rules::params::Given) -> Self {
                Params { $($name: given.get(stringify!($name)).unwrap_or($default),)* }
            }
        }
    };
}

/// The type that a kind of value has in a rule.
macro_rules! value_type {
    (Count) => {
        u64
    };
    (Bytes) => {
        u64
    };
    (Flag) => {
        bool
    };
    ($number:ident) => {
        f64
    };
}

/// A default as a [`Value`].
macro_rules! value {
    (Count, $value:expr) => {
        $crate::rules::params::Value::Whole($value)
    };
    (Bytes, $value:expr) => {
        $crate::rules::params::Value::Whole($value)
    };
    (Flag, $value:expr) => {
        $crate::rules::params::Value::Flag($value)
    };
    ($number:ident, $value:expr) => {
        $crate::rules::params::Value::Number($value)
    };
}

pub(crate) use {params, value, value_type};

#[cfg(test)]
mod tests {
    use super::Params as _;
    use super::{Given, Param, Value};

    params! {
        /// So many things
        /// at least.
        min_things: Count = 3,
        /// So large a part.
        share: Share = 0.5,
        /// Really.
        really: Flag = false,
    }

    fn param(name: &str) -> &'static Param {
        Params::TABLE.iter().find(|param| param.name == name).expect("there is one")
    }

    #[test]
    fn a_declaration_gives_the_struct_and_the_table() {
        assert_eq!(Params::default(), Params { min_things: 3, share: 0.5, really: false });
        let described: Vec<String> = Params::TABLE
            .iter()
            .map(|param| format!("{} = {}:{}", param.name, param.default, param.doc))
            .collect();
        let expected = [
            "min_things = 3: So many things at least.",
            "share = 0.5: So large a part.",
            "really = false: Really.",
        ];
        assert_eq!(described, expected);
    }

    #[test]
    fn what_is_given_replaces_one_default() {
        let mut given = Given::default();
        given.set(param("min_things"), Value::Whole(7)).expect("a count");
        assert_eq!(Params::with(&given), Params { min_things: 7, ..Params::default() });
    }

    #[test]
    fn a_value_keeps_its_bounds() {
        let mut given = Given::default();
        for (name, value) in [
            ("min_things", Value::Number(1.0)),
            ("share", Value::Number(1.1)),
            ("share", Value::Number(f64::NAN)),
            ("share", Value::Flag(true)),
            ("really", Value::Whole(1)),
        ] {
            assert_eq!(given.set(param(name), value), Err(param(name).kind.must()), "{name}");
        }
        assert_eq!(given, Given::default());
        assert_eq!(given.set(param("share"), Value::Whole(1)), Ok(()), "1 is 1.0");
    }

    #[test]
    fn values_are_written_as_in_the_file() {
        let texts = [
            Value::Whole(16 << 20),
            Value::Number(3.0),
            Value::Number(1e-6),
            Value::Number(0.9),
            Value::Flag(true),
        ]
        .map(|value| value.to_string());
        assert_eq!(texts, ["16777216", "3.0", "1e-6", "0.9", "true"]);
    }
}
