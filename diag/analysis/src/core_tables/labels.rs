//! Names and labels of tasks: chains of links beside the records.

use super::layout::{Column, Layout, Table, word};
use super::memory::Memory;

/// A link with this key is the task's name.
const NAME: u64 = u16::MAX as u64;
/// One with this key refers to the labels of a span, and the task's own are behind it.
const SPAN: u64 = NAME - 1;
/// Links of a chain at the most.
const MAX_LINKS: usize = 32;
/// Of an address: a reader was at it.
const READING: u64 = 1;

/// Reads what lies beside the records.
pub(super) struct Labels<'m> {
    memory: &'m Memory<'m>,
    links: Table,
    rest: Column,
    key: Column,
    len: Column,
    /// By number.
    keys: Vec<Option<String>>,
}

/// What a task is for.
#[derive(Default)]
pub(super) struct Said {
    pub(super) name: Option<String>,
    /// The innermost first.
    pub(super) labels: Vec<(String, String)>,
}

/// One link.
struct Link {
    key: u64,
    text: String,
    /// The chain of a span, if it refers to one.
    span: u64,
    rest: u64,
}

impl<'m> Labels<'m> {
    pub(super) fn new(memory: &'m Memory<'m>, layout: &Layout) -> Self {
        let links = layout.table("links");
        let [rest, key, len] = ["rest", "key", "len"].map(|name| links.column(name));
        let keys = layout.table("keys");
        let keys = keys.records(memory).map(|(_, place)| {
            let text = word(place)?;
            memory.text(memory.word(text)?, memory.word(text.wrapping_add(8))?)
        });
        Labels { memory, links, rest, key, len, keys: keys.collect() }
    }

    /// What the chain at this address says.
    pub(super) fn of(&self, address: u64) -> Said {
        let mut own = self.chain(address & !READING);
        let span = match own.first() {
            Some(first) if first.key == SPAN => self.chain(own.remove(0).span),
            _ => Vec::new(),
        };
        let name = own.first().filter(|first| first.key == NAME).map(|first| first.text.clone());
        let is_label = |link: &&Link| {
            link.key != NAME && link.key != SPAN && !span.iter().any(|over| over.key == link.key)
        };
        let all = span.iter().chain(own.iter().filter(is_label));
        let label = |link: &Link| Some((self.keys.get(link.key as usize)?.clone()?, link.text.clone()));
        Said { name, labels: all.filter_map(label).collect() }
    }

    fn chain(&self, mut address: u64) -> Vec<Link> {
        let mut links = Vec::new();
        while let Some(link) = self.link(address).filter(|_| links.len() < MAX_LINKS) {
            address = link.rest;
            links.push(link);
        }
        links
    }

    fn link(&self, address: u64) -> Option<Link> {
        let record = self.links.at(self.memory, address)?;
        let (key, len) = (self.key.of(record), self.len.of(record));
        let behind = address.wrapping_add(self.links.stride);
        let (text, span) = match key {
            SPAN => (String::new(), self.memory.word(behind)?),
            _ => (self.memory.text(behind, len)?, 0),
        };
        Some(Link { key, text, span, rest: self.rest.of(record) })
    }
}
