//! What rules say, as JSON: `{ "kind": "stale_grew", "before": 168, "after": 400, "text": ".." }`.

use std::fmt::Display;

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::rules::advice::Advice;
use crate::rules::evidence::Evidence;
use crate::rules::fact::{Fact, snake_case};
use crate::rules::finding::Finding;
use crate::rules::holder::Holder;
use crate::rules::reason::Reason;
use crate::rules::remark::Remark;
use crate::rules::risk::Risk;
use crate::rules::subject::Subject;
use crate::rules::wait::Wait;

/// Facts, each with its words under `text`.
macro_rules! said {
    ($($Fact:ty),+) => {
        $(impl Serialize for $Fact {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                say(self, serializer)
            }
        })+
    };
}

said!(Evidence, Advice, Risk, Wait, Holder, Reason, Remark);

fn say<S: Serializer>(fact: &(impl Fact + Display), serializer: S) -> Result<S::Ok, S::Error> {
    let values = fact.values();
    let mut said = serializer.serialize_map(Some(values.len() + 2))?;
    said.serialize_entry("kind", &snake_case(fact.kind()))?;
    for (key, value) in &values {
        said.serialize_entry(key, value)?;
    }
    said.serialize_entry("text", &fact.to_string())?;
    said.end()
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 18)?;
        finding.serialize_field("id", &self.id)?;
        finding.serialize_field("rule", self.rule)?;
        finding.serialize_field("category", &self.category)?;
        finding.serialize_field("confidence", &self.confidence)?;
        finding.serialize_field("subject", &self.subject)?;
        finding.serialize_field("since", &self.since)?;
        finding.serialize_field("count", &self.count)?;
        finding.serialize_field("rate_per_s", &self.rate_per_s)?;
        finding.serialize_field("bytes", &self.bytes)?;
        finding.serialize_field("cell_bytes", &self.cell_bytes.map(|bytes| bytes.0))?;
        finding.serialize_field("allocated", &self.allocated())?;
        finding.serialize_field("growth", &self.growth)?;
        finding.serialize_field("evidence", &self.evidence)?;
        finding.serialize_field("counter_evidence", &self.counter_evidence)?;
        finding.serialize_field("waiting_at", &self.waiting_at)?;
        finding.serialize_field("held_by", &self.held_by)?;
        finding.serialize_field("advice", &self.advice)?;
        finding.serialize_field("risk", &self.risk)?;
        finding.end()
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut subject = serializer.serialize_struct("Subject", 3)?;
        subject.serialize_field("kind", self.kind())?;
        subject.serialize_field("location", &self.location())?;
        subject.serialize_field("name", &self.name())?;
        subject.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_its_kind_its_values_and_its_words() {
        let json = serde_json::to_string(&Evidence::StaleGrew { before: 168, after: 1_400 }).expect("JSON");
        let expected = concat!(
            r#"{"kind":"stale_grew","before":168,"after":1400,"#,
            r#""text":"resting tasks went from 168 to 1,400"}"#
        );
        assert_eq!(json, expected);
    }
}
