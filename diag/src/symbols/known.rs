//! Names that were looked up before, in bounded memory.
//!
//! What was not asked for longest goes first, half of all addresses at a time, so that keeping within the
//! limit costs little. It is looked up again should it be asked for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Function, Functions};

/// How much is kept: names of some 8,000 addresses.
const KEPT_BYTES: usize = 2 << 20;
/// An address in its table, which may be less than half full, and the head of its functions.
const ADDRESS_BYTES: usize = 112;
/// A string in its set, its head, and what the allocator adds.
const STRING_BYTES: usize = 72;

/// Which file the addresses lie in. A library that is replaced and loaded anew is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) build_id: Option<String>,
}

/// Names by module and return address less base.
#[derive(Default)]
pub(super) struct Known {
    modules: HashMap<Module, HashMap<u64, Entry>>,
    /// Every string of the entries, once.
    strings: HashSet<Arc<str>>,
    /// Estimate of what all of this takes.
    bytes: usize,
    /// Counts what is asked for.
    now: u64,
}

struct Entry {
    functions: Functions,
    /// When it was last asked for.
    asked: u64,
}

impl Known {
    pub(super) fn get(&mut self, module: &Module, address: u64) -> Option<Functions> {
        self.now += 1;
        let entry = self.modules.get_mut(module)?.get_mut(&address)?;
        entry.asked = self.now;
        Some(entry.functions.clone())
    }

    pub(super) fn add(
        &mut self,
        module: &Module,
        address: u64,
        functions: Vec<diag_symbols::Function>,
    ) -> Functions {
        let functions: Functions = functions.into_iter().map(|function| self.shared(function)).collect();
        self.now += 1;
        self.bytes += address_bytes(&functions);
        let entry = Entry { functions: functions.clone(), asked: self.now };
        match self.modules.get_mut(module) {
            Some(entries) => entries.insert(address, entry),
            None => self.modules.entry(module.clone()).or_default().insert(address, entry),
        };
        if self.bytes > KEPT_BYTES {
            self.forget_half();
        }
        functions
    }

    fn shared(&mut self, function: diag_symbols::Function) -> Function {
        Function {
            name: self.string(&function.name),
            file: function.file.map(|file| self.string(&file)),
            line: function.line,
        }
    }

    fn string(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.strings.insert(new.clone());
        self.bytes += string_bytes(text);
        new
    }

    fn forget_half(&mut self) {
        let mut asked: Vec<u64> =
            self.modules.values().flat_map(HashMap::values).map(|entry| entry.asked).collect();
        let half = asked.len() / 2;
        let oldest_kept = *asked.select_nth_unstable(half).1;
        for entries in self.modules.values_mut() {
            entries.retain(|_, entry| entry.asked > oldest_kept);
            entries.shrink_to_fit();
        }
        self.modules.retain(|_, entries| !entries.is_empty());
        let entries = || self.modules.values().flat_map(HashMap::values);
        let strings = |function: &Function| [Some(function.name.clone()), function.file.clone()];
        self.strings =
            entries().flat_map(|entry| entry.functions.iter().flat_map(strings)).flatten().collect();
        self.bytes = entries().map(|entry| address_bytes(&entry.functions)).sum::<usize>()
            + self.strings.iter().map(|text| string_bytes(text)).sum::<usize>();
    }
}

fn address_bytes(functions: &[Function]) -> usize {
    ADDRESS_BYTES + size_of_val(functions)
}

fn string_bytes(text: &str) -> usize {
    STRING_BYTES + text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        Module { path: path.to_owned(), build_id: Some("0123".to_owned()) }
    }

    fn named(name: String) -> Vec<diag_symbols::Function> {
        vec![diag_symbols::Function { name, file: Some("src/cart.rs".to_owned()), line: Some(7) }]
    }

    #[test]
    fn what_is_kept_stays_within_its_limit() {
        let mut known = Known::default();
        let mut most = 0;
        for library in 0..60 {
            let library = module(&format!("/tmp/plugin-{library}.so"));
            for address in 0..400 {
                known.add(&library, address, named(format!("plugin::{}::{address}", "long".repeat(20))));
                most = most.max(known.bytes);
            }
        }
        assert!((KEPT_BYTES / 2..=KEPT_BYTES).contains(&most), "{most}");
        assert!(known.modules.len() < 40, "{} modules", known.modules.len());
        assert!(known.strings.len() < 12_000, "{} strings", known.strings.len());
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut known = Known::default();
        let (service, plugins) = (module("/srv/app"), module("/tmp/plugin.so"));
        let wanted = known.add(&service, 7, named("app::cart".to_owned()));
        for address in 0..30_000 {
            known.add(&plugins, address, named(format!("plugin::{address}")));
            assert_eq!(known.get(&service, 7).as_ref(), Some(&wanted));
        }
        assert_eq!(known.get(&plugins, 0), None);
        assert!(known.get(&plugins, 29_999).is_some());
    }

    #[test]
    fn another_build_of_a_file_is_another_module() {
        let mut known = Known::default();
        let old = module("/tmp/plugin.so");
        let new = Module { build_id: Some("4567".to_owned()), ..old.clone() };
        known.add(&old, 7, named("plugin::old".to_owned()));
        assert_eq!(known.get(&new, 7), None);
    }

    #[test]
    fn addresses_share_their_strings() {
        let mut known = Known::default();
        for address in 0..1_000 {
            known.add(&module("/srv/app"), address, named("app::cart".to_owned()));
        }
        assert_eq!(known.strings.len(), 2);
    }
}
