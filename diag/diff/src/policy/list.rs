//! An entry of a list of tables, `[[allow]]` or `[[bound]]`, on its way to a type.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Problem, Refusal, threshold, unknown};
use crate::rules::params::{Kind, Typed as _};

/// One table of a list.
pub(super) struct Entry<'a> {
    list: &'static str,
    table: &'a DeTable<'a>,
    offset: usize,
}

/// The tables of a list, each of which has known keys only.
pub(super) fn entries<'a>(
    list: &'static str,
    value: &'a Spanned<DeValue<'a>>,
    keys: &[&str],
) -> Result<Vec<Entry<'a>>, Refusal> {
    let no_list = |offset| Refusal {
        offset,
        problem: Problem::Value { key: list.to_owned(), must: "a list of tables, each under its `[[..]]`" },
    };
    let tables = value.get_ref().as_array().ok_or_else(|| no_list(value.span().start))?;
    let mut found = Vec::new();
    for given in tables.iter() {
        let offset = given.span().start;
        let table = given.get_ref().as_table().ok_or_else(|| no_list(offset))?;
        let strange = table.keys().find(|key| !keys.contains(&key.get_ref().as_ref()));
        if let Some(key) = strange {
            let problem = unknown(&format!("{list}.{}", key.get_ref()));
            return Err(Refusal { offset: key.span().start, problem });
        }
        found.push(Entry { list, table, offset });
    }
    Ok(found)
}

impl<'a> Entry<'a> {
    pub(super) fn text(&self, key: &'static str, must: &'static str) -> Result<Option<&'a str>, Refusal> {
        let Some((offset, value)) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(key, must, offset))
    }

    pub(super) fn count(&self, key: &'static str) -> Result<Option<u64>, Refusal> {
        let Some((offset, value)) = self.get(key) else { return Ok(None) };
        let whole = threshold(value).filter(|&value| Kind::Count.takes(value)).and_then(u64::of);
        whole.map(Some).ok_or_else(|| self.wrong(key, Kind::Count.must(), offset))
    }

    pub(super) fn positive(&self, key: &'static str) -> Result<Option<f64>, Refusal> {
        let Some((offset, value)) = self.get(key) else { return Ok(None) };
        let number = threshold(value).and_then(f64::of).filter(|number| *number > 0.0 && number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "more than 0", offset))
    }

    pub(super) fn lacks(&self, what: &'static str) -> Refusal {
        Refusal { offset: self.offset, problem: Problem::Lacks { list: self.list, what } }
    }

    /// A problem of the value under a key.
    pub(super) fn refuse(&self, key: &str, problem: Problem) -> Refusal {
        Refusal { offset: self.get(key).map_or(self.offset, |(offset, _)| offset), problem }
    }

    fn wrong(&self, key: &str, must: &'static str, offset: usize) -> Refusal {
        Refusal { offset, problem: Problem::Value { key: format!("{}.{key}", self.list), must } }
    }

    fn get(&self, key: &str) -> Option<(usize, &'a DeValue<'a>)> {
        let value = self.table.get(key)?;
        Some((value.span().start, value.get_ref()))
    }
}
