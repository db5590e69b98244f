//! Names of addresses that were symbolized before, in bounded memory.
//!
//! All of it lies in four tables, which grow and go as a whole: thousands of small blocks would stay between those of the
//! service. When they are full, what was asked for last is kept, half of all addresses, so that keeping within the
//! limit costs little. The rest is symbolized again should it be asked for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::Function;

/// How much is kept: names of some 5,000 addresses. The tables take up to twice as much.
const KEPT_BYTES: usize = 1 << 20;
/// An address in its table, which is half full at times.
const ADDRESS_BYTES: usize = 64;
/// A text in its table, beside the text itself.
const TEXT_BYTES: usize = 32;

/// Which file the addresses lie in. A library that is replaced and loaded anew is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) build_id: Option<String>,
}

/// A module by its number, which it keeps as long as there are names of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModuleId(u32);

/// Names by module and return address less base.
#[derive(Default)]
pub(super) struct SymbolCache {
    modules: Vec<Module>,
    entries: HashMap<(ModuleId, u64), Entry>,
    functions: Vec<Named>,
    text: String,
    /// By hash; of two texts with one hash the second is written again each time.
    texts: HashMap<u64, Text>,
    hasher: RandomState,
    /// Counts what is asked for.
    now: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Its functions, innermost first.
    first: u32,
    len: u32,
    /// When it was last asked for.
    asked: u64,
}

#[derive(Clone, Copy)]
struct Named {
    name: Text,
    file: Option<Text>,
    line: Option<u32>,
}

/// A part of the text of all names.
#[derive(Clone, Copy)]
struct Text {
    start: u32,
    len: u32,
}

impl SymbolCache {
    /// The number of this module, for what is asked for next.
    pub(super) fn module(&mut self, module: &Module) -> ModuleId {
        let at = self.modules.iter().position(|known| known == module).unwrap_or_else(|| {
            self.modules.push(module.clone());
            self.modules.len() - 1
        });
        ModuleId(at as u32)
    }

    /// The functions at an address, if it was symbolized and not forgotten since.
    pub(super) fn get(
        &mut self,
        module: ModuleId,
        address: u64,
    ) -> Option<impl Iterator<Item = Function<'_>>> {
        self.now += 1;
        let entry = self.entries.get_mut(&(module, address))?;
        entry.asked = self.now;
        let functions = &self.functions[entry.first as usize..][..entry.len as usize];
        Some(functions.iter().map(|named| self.function(named)))
    }

    /// Keeps the functions at an address.
    pub(super) fn add<'a>(
        &mut self,
        module: ModuleId,
        address: u64,
        functions: impl IntoIterator<Item = Function<'a>>,
    ) {
        self.now += 1;
        let first = self.functions.len();
        for Function { name, file, line } in functions {
            let named = Named { name: self.text(name), file: file.map(|file| self.text(file)), line };
            self.functions.push(named);
        }
        let len = (self.functions.len() - first) as u32;
        self.entries.insert((module, address), Entry { first: first as u32, len, asked: self.now });
    }

    /// Forgets what was asked for longest if it is too much. The numbers of modules are others then.
    pub(super) fn trim(&mut self) {
        while self.bytes() > KEPT_BYTES {
            *self = self.half();
        }
    }

    /// What was asked for last.
    fn half(&self) -> SymbolCache {
        let mut asked: Vec<u64> = self.entries.values().map(|entry| entry.asked).collect();
        let mut half = SymbolCache { now: self.now, ..SymbolCache::default() };
        let middle = asked.len() / 2;
        if asked.len() < 2 {
            return half;
        }
        let oldest_kept = *asked.select_nth_unstable(middle).1;
        for (&(module, address), entry) in self.entries.iter().filter(|(_, entry)| entry.asked > oldest_kept)
        {
            let functions = &self.functions[entry.first as usize..][..entry.len as usize];
            let module = half.module(&self.modules[module.0 as usize]);
            half.add(module, address, functions.iter().map(|named| self.function(named)));
            if let Some(kept) = half.entries.get_mut(&(module, address)) {
                kept.asked = entry.asked;
            }
        }
        half.now = self.now;
        half
    }

    fn bytes(&self) -> usize {
        self.entries.len() * ADDRESS_BYTES
            + self.functions.len() * size_of::<Named>()
            + self.text.len()
            + self.texts.len() * TEXT_BYTES
    }

    fn function(&self, named: &Named) -> Function<'_> {
        let text = |Text { start, len }: Text| &self.text[start as usize..][..len as usize];
        Function { name: text(named.name), file: named.file.map(text), line: named.line }
    }

    fn text(&mut self, new: &str) -> Text {
        let hash = self.hasher.hash_one(new);
        let is_it = |text: &&Text| &self.text[text.start as usize..][..text.len as usize] == new;
        if let Some(known) = self.texts.get(&hash).filter(is_it) {
            return *known;
        }
        let text = Text { start: self.text.len() as u32, len: new.len() as u32 };
        self.text.push_str(new);
        self.texts.insert(hash, text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        Module { path: path.to_owned(), build_id: Some("0123".to_owned()) }
    }

    fn function(name: &str) -> Function<'_> {
        Function { name, file: Some("src/cart.rs"), line: Some(7) }
    }

    fn names(cache: &mut SymbolCache, module: ModuleId, address: u64) -> Option<Vec<String>> {
        Some(cache.get(module, address)?.map(|function| function.name.to_owned()).collect())
    }

    #[test]
    fn what_is_kept_stays_within_its_limit() {
        let mut cache = SymbolCache::default();
        let mut most = 0;
        for library in 0..60 {
            for address in 0..400 {
                let library = cache.module(&module(&format!("/tmp/plugin-{library}.so")));
                let name = format!("plugin::{}::{address}", "long".repeat(20));
                cache.add(library, address, [function(&name), function("plugin::main")]);
                cache.trim();
                most = most.max(cache.bytes());
            }
        }
        assert!((KEPT_BYTES / 2..=KEPT_BYTES).contains(&most), "{most}");
        assert!(cache.modules.len() < 40, "{} modules", cache.modules.len());
        let taken = cache.text.capacity() + cache.functions.capacity() * size_of::<Named>();
        assert!(taken < 2 * KEPT_BYTES, "{taken}");
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = SymbolCache::default();
        let (service, plugins) = (module("/srv/app"), module("/tmp/plugin.so"));
        let at = cache.module(&service);
        cache.add(at, 7, [function("app::cart::add"), function("app::cart")]);
        for address in 0..30_000 {
            let at = cache.module(&plugins);
            cache.add(at, address, [function(&format!("plugin::{address}"))]);
            let at = cache.module(&service);
            assert_eq!(
                names(&mut cache, at, 7),
                Some(vec!["app::cart::add".to_owned(), "app::cart".to_owned()])
            );
            cache.trim();
        }
        let at = cache.module(&plugins);
        assert_eq!(names(&mut cache, at, 0), None);
        assert_eq!(names(&mut cache, at, 29_999), Some(vec!["plugin::29999".to_owned()]));
    }

    #[test]
    fn another_build_of_a_file_is_another_module() {
        let mut cache = SymbolCache::default();
        let old = module("/tmp/plugin.so");
        let new = Module { build_id: Some("4567".to_owned()), ..old.clone() };
        let at = cache.module(&old);
        cache.add(at, 7, [function("plugin::old")]);
        let at = cache.module(&new);
        assert_eq!(names(&mut cache, at, 7), None);
    }

    #[test]
    fn addresses_share_their_texts() {
        let mut cache = SymbolCache::default();
        let at = cache.module(&module("/srv/app"));
        for address in 0..1_000 {
            cache.add(at, address, [function("app::cart")]);
        }
        assert_eq!(cache.text, "app::cartsrc/cart.rs");
    }

    #[test]
    fn nothing_known_is_known() {
        let mut cache = SymbolCache::default();
        let at = cache.module(&module("/srv/app"));
        cache.add(at, 7, []);
        assert_eq!(names(&mut cache, at, 7), Some(Vec::new()));
    }
}
