//! For tests: the names of a stack.

use super::modules;

/// The outermost function at each address, by the files of the modules that they lie in.
pub(crate) fn names(addresses: &[u64]) -> Vec<String> {
    let modules = modules::loaded();
    let name = |&address: &u64| {
        let module = modules.iter().find(|module| module.memory.contains(&address))?;
        let functions = crate::symbols::functions(module, &[address - module.base]);
        Some(functions.first()?.last()?.name.clone())
    };
    addresses.iter().map(|address| name(address).unwrap_or_else(|| "?".to_owned())).collect()
}
