//! For tests: the names of a stack.

/// The outermost function at each address, by the files of the modules that they lie in.
pub(crate) fn names(addresses: &[u64]) -> Vec<String> {
    let mut names = vec!["?".to_owned(); addresses.len()];
    crate::symbols::at(addresses, |at, function| names[at] = function.name.to_owned());
    names
}
