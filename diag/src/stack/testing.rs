//! For tests: the names of a stack.

/// The outermost function at each address, by the files of the modules that they lie in. A file is read
/// once in a call.
pub(crate) fn names(addresses: &[u64]) -> Vec<String> {
    let name =
        |functions: &crate::symbols::Functions| functions.last().map(|outermost| outermost.name.to_string());
    crate::symbols::at(addresses).iter().map(|functions| name(functions).unwrap_or("?".to_owned())).collect()
}
