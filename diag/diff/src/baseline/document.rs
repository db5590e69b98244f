//! The file of a baseline: JSON with a line for each feature, in order, so that a change of it can be read in a review.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde_json::json;

use super::features::{Dimension, Feature, Measure};
use super::{Baseline, Usual};

/// Name and version of the file.
pub const SCHEMA: &str = "diag.baseline/1";

/// Why a text is no baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaselineError {
    /// It is no JSON, or has other fields.
    Json(String),
    /// It is of another version.
    Schema(String),
    /// It has a number of a kind that this version does not know.
    Measure(String),
}

impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BaselineError::Json(error) => write!(f, "it is no baseline: {error}"),
            BaselineError::Schema(schema) => {
                write!(f, "its schema is `{}` and not `{SCHEMA}`: record it again", schema.escape_debug())
            }
            BaselineError::Measure(key) => {
                write!(f, "it has a number `{}`, which is not known: record it again", key.escape_debug())
            }
        }
    }
}

impl std::error::Error for BaselineError {}

#[derive(Deserialize)]
struct Document {
    schema: String,
    runs: u64,
    #[serde(flatten)]
    dimensions: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Numbers {
    median: f64,
    low: f64,
    high: f64,
    deviation: f64,
}

impl Baseline {
    /// The file. Equal baselines give equal bytes.
    pub fn render(&self) -> String {
        let mut out = format!("{{\n  \"schema\": \"{SCHEMA}\",\n  \"runs\": {}", self.runs);
        for dimension in Dimension::ALL {
            let features = self.features.iter().filter(|(feature, _)| feature.dimension == dimension);
            let lines: Vec<String> = features.map(|(feature, usual)| line(feature, usual)).collect();
            // Writing to a string does not fail.
            let _ = write!(out, ",\n  \"{}\": {{\n{}\n  }}", dimension.key(), lines.join(",\n"));
        }
        out + "\n}\n"
    }

    /// The baseline of a file.
    ///
    /// # Errors
    /// If it is none, or of another version.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let json = |error: serde_json::Error| BaselineError::Json(error.to_string());
        let mut document: Document = serde_json::from_str(text).map_err(json)?;
        if document.schema != SCHEMA {
            return Err(BaselineError::Schema(document.schema));
        }
        let mut features = BTreeMap::new();
        for dimension in Dimension::ALL {
            let Some(value) = document.dimensions.remove(dimension.key()) else { continue };
            let of_dimension: BTreeMap<String, Numbers> = serde_json::from_value(value).map_err(json)?;
            for (name, Numbers { median, low, high, deviation }) in of_dimension {
                let (of, key) = name.rsplit_once(": ").unwrap_or(("", &name));
                let measure = Measure::of_key(key).ok_or_else(|| BaselineError::Measure(key.to_owned()))?;
                features.insert(Feature::new(dimension, of, measure), Usual { median, low, high, deviation });
            }
        }
        Ok(Baseline { runs: document.runs, features })
    }
}

fn line(feature: &Feature, usual: &Usual) -> String {
    let name = json!(feature.to_string());
    let Usual { median, low, high, deviation } = *usual;
    let [median, low, high, deviation] = [median, low, high, deviation].map(rounded);
    format!(
        "    {name}: {{ \"median\": {median}, \"low\": {low}, \"high\": {high}, \"deviation\": {deviation} }}"
    )
}

/// Four digits are as many as a spread has: more would change with every recording.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    format!("{value:.3e}").parse().unwrap_or(value)
}
