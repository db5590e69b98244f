//! What a rule says, as data: a kind with its values, which know their units.
//!
//! A fact is one variant of an enum that `facts!` declares. Its words are made last, by its arm in
//! [`report::words`](crate::report::words), and its JSON follows from the declaration: no rule holds a sentence.

use diag_analysis::allocation_kind::AllocationKind;
use diag_analysis::await_point::{Direction, WaitKind};
use diag_analysis::gauge::Gauge;
use diag_analysis::site::Site;
use diag_analysis::source_location::SourceLocation;
use diag_analysis::unnamed::Unnamed;
use diag_analysis::views::AgeAtFree;
use diag_snapshot::{Bytes, CancelBy, Micros};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A kind with its values.
pub trait Fact {
    /// Returns the name of the variant.
    fn kind(&self) -> &'static str;

    /// Returns the values under their names, to which their units are added: `idle_ns`.
    fn values(&self) -> Vec<(String, Value)>;

    /// Returns each variant's name, with the keys of its values and the JSON Schema of each.
    fn shapes() -> Vec<(&'static str, Vec<(String, Value)>)>
    where
        Self: Sized;
}

/// Declares an enum whose variants are [`Fact`]s. The type of a field is a [`Quantity`].
macro_rules! facts {
    (
        $(#[$about:meta])*
        $vis:vis enum $Name:ident {
            $($(#[$doc:meta])+ $Variant:ident $({ $($field:ident: $Type:ty),+ $(,)? })?,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "what a variant says names its fields")]
        $vis enum $Name {
            $($(#[$doc])+ $Variant $({ $($field: $Type),+ })?,)+
        }

        impl $crate::rules::fact::Fact for $Name {
            fn kind(&self) -> &'static str {
                match self {
                    $($Name::$Variant { .. } => stringify!($Variant),)+
                }
            }

            fn values(&self) -> Vec<(String, serde_json::Value)> {
                match self {
                    $($Name::$Variant $({ $($field),+ })? => {
                        vec![$($($crate::rules::fact::value(stringify!($field), $field)),+)?]
                    })+
                }
            }

            fn shapes() -> Vec<(&'static str, Vec<(String, serde_json::Value)>)> {
                vec![$((
                    stringify!($Variant),
                    vec![$($($crate::rules::fact::shape::<$Type>(stringify!($field))),+)?],
                )),+]
            }
        }
    };
}

pub(crate) use facts;

/// Something that a fact tells: what it counts, and itself as JSON.
pub trait Quantity {
    /// What its key in JSON ends with.
    const UNIT: &'static str;

    /// Returns it in that unit.
    fn json(&self) -> Value;

    /// Returns the JSON Schema of that.
    fn shape() -> Value;
}

/// Returns a value under its key.
pub(crate) fn value<Q: Quantity>(name: &str, quantity: &Q) -> (String, Value) {
    (format!("{name}{}", Q::UNIT), quantity.json())
}

/// Returns the key of a value, and the JSON Schema of what stands there.
pub(crate) fn shape<Q: Quantity>(name: &str) -> (String, Value) {
    (format!("{name}{}", Q::UNIT), Q::shape())
}

/// `StaleGrew` as `stale_grew`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    for (i, char) in name.char_indices() {
        if i > 0 && char.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(char.to_ascii_lowercase());
    }
    words
}

/// So many a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerSecond(pub f64);

/// So many bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BytesPerSecond(pub f64);

/// A part of a whole: 0.1 for a tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

/// A part of a whole: 10 for a tenth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

/// The p of a statistical test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability(pub f64);

/// Who asked tasks to stop, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskedBy {
    /// Who.
    pub by: CancelBy,
    /// So many tasks.
    pub tasks: u64,
}

/// Types of values with their unit in a key, and how they are written.
macro_rules! quantities {
    ($($Type:ty, $unit:literal, $shape:tt, $quantity:ident => $json:expr;)+) => {
        $(impl Quantity for $Type {
            const UNIT: &'static str = $unit;

            fn shape() -> Value {
                json!($shape)
            }

            fn json(&self) -> Value {
                let $quantity = self;
                json!($json)
            }
        })+
    };
}

quantities! {
    u32, "", { "type": "integer" }, number => number;
    u64, "", { "type": "integer" }, number => number;
    f64, "", { "type": "number" }, number => number;
    String, "", { "type": "string" }, text => text;
    Vec<Bytes>, "_bytes", { "type": "array", "items": { "type": "integer" } }, sizes => sizes;
    Vec<String>, "", { "type": "array", "items": { "type": "string" } }, texts => texts;
    Vec<u64>, "", { "type": "array", "items": { "type": "integer" } }, numbers => numbers;
    Timestamp, "", { "type": "string", "format": "date-time" }, at => at.to_string();
    Micros, "_ns", { "type": "integer" }, time => time;
    Bytes, "_bytes", { "type": "integer" }, size => size;
    PerSecond, "_per_s", { "type": "number" }, rate => rate.0;
    BytesPerSecond, "_bytes_per_s", { "type": "number" }, rate => rate.0;
    Ratio, "_ratio", { "type": "number" }, part => part.0;
    Percent, "_percent", { "type": "number" }, part => part.0;
    Probability, "_p", { "type": "number" }, p => p.0;
    AllocationKind, "", { "type": "string" }, kind => kind.as_str();
    Site, "", { "type": "string" }, site => site.to_string();
    SourceLocation, "", { "type": "string" }, place => place.location();
    WaitKind, "", { "type": "string" }, kind => kind.as_str();
    Gauge, "", { "type": "string" }, gauge => gauge.to_string();
    Direction, "", { "enum": ["receive", "give"] }, direction => match direction { Direction::Receive => "receive", Direction::Give => "give" };
    AgeAtFree, "", { "type": "object" }, age => age;
    Unnamed, "", { "type": "object" }, names => unnamed(names);
    Vec<AskedBy>, "", { "type": "array", "items": { "type": "object" } }, asked => asked.iter().map(asked_by).collect::<Vec<_>>();
}

fn unnamed(Unnamed { module, build_id, frames, of }: &Unnamed) -> Value {
    json!({ "module": module, "build_id": build_id, "frames": frames, "of": of })
}

fn asked_by(AskedBy { by, tasks }: &AskedBy) -> Value {
    json!({ "by": by.as_str(), "tasks": tasks })
}

impl<Q: Quantity> Quantity for Option<Q> {
    const UNIT: &'static str = Q::UNIT;

    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Q::json)
    }

    fn shape() -> Value {
        json!({ "anyOf": [Q::shape(), { "type": "null" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Fact as _, Micros, Ratio, json};

    facts! {
        /// For the test.
        enum Weather {
            /// Nothing to tell.
            Dull,
            /// It rains.
            Rain { lasted: Micros, fallen: Option<Bytes>, clouds: Ratio, drops: u64 },
        }
    }

    #[test]
    fn keys_end_with_the_units_of_their_types() {
        let rain = Weather::Rain { lasted: Micros(3), fallen: None, clouds: Ratio(0.5), drops: 7 };
        let expected = [
            ("lasted_ns", json!(3_000)),
            ("fallen_bytes", json!(null)),
            ("clouds_ratio", json!(0.5)),
            ("drops", json!(7)),
        ];
        assert_eq!(rain.kind(), "Rain");
        assert_eq!(rain.values(), expected.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!((Weather::Dull.kind(), Weather::Dull.values()), ("Dull", Vec::new()));
    }
}
