//! For tests: the names of a stack.

use super::modules;

/// The outermost function at each address, by the files of the modules that they lie in. A file is read
/// once in a call.
pub(crate) fn names(addresses: &[u64]) -> Vec<String> {
    let mut names = vec!["?".to_owned(); addresses.len()];
    for module in modules::loaded() {
        let inside = |at: &usize| module.memory.contains(&addresses[*at]);
        let inside: Vec<usize> = (0..addresses.len()).filter(inside).collect();
        let offsets: Vec<u64> = inside.iter().map(|&at| addresses[at] - module.base).collect();
        for (at, functions) in inside.into_iter().zip(crate::symbols::functions(&module, &offsets)) {
            if let Some(outermost) = functions.last() {
                names[at].clone_from(&outermost.name);
            }
        }
    }
    names
}
