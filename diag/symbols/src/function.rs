//! A function by name, and how names become whole: demangled, with their crate and module.
//!
//! Nothing is read here, and no name is guessed: what cannot be told stays as it is.

/// A function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// Demangled, without hash.
    pub name: String,
    /// Source file: below the root of the workspace that it was built in, or absolute.
    pub file: Option<String>,
    /// Line in it, of the call that is being made there.
    pub line: Option<u32>,
}

/// Line tables name an inlined function without its path. Its file tells crate and module: for a file
/// of the outermost function's crate, whose name is whole, and for one of a package with a version.
pub(crate) fn qualify(functions: &mut [Function]) {
    let Some((outermost, inlined)) = functions.split_last_mut() else { return };
    let own_crate = outermost.file.as_deref().and_then(source).zip(crate_of(&outermost.name));
    for function in inlined.iter_mut().filter(|function| is_bare(&function.name)) {
        let Some((folder, path)) = function.file.as_deref().and_then(source) else { continue };
        let own = own_crate.filter(|((own_folder, _), _)| *own_folder == folder).map(|(_, name)| name);
        if let Some(name) = own.map(str::to_owned).or_else(|| package(folder)) {
            function.name = format!("{name}::{}{}", modules_of(path), function.name);
        }
    }
}

/// True if the name has no path: what stands in its generics is not its own.
fn is_bare(name: &str) -> bool {
    !name.starts_with('<') && !name.split('<').next().is_some_and(|name| name.contains("::"))
}

/// The crate that a whole name begins with; `None` for a trait's method, which may be any crate's.
fn crate_of(name: &str) -> Option<&str> {
    let path = name.split_once("::").filter(|_| !name.contains(" as "))?.0;
    Some(path.trim_start_matches('<'))
}

/// A package's folder, and the path of a source file in it.
fn source(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once("/src/")
}

/// The crate in a folder such as `/registry/tokio-util-0.7.1` or `/rustc/0123/library/alloc`.
pub(crate) fn package(folder: &str) -> Option<String> {
    let (parent, name) = folder.rsplit_once('/')?;
    let version_at = name.rmatch_indices('-').map(|(at, _)| at).find(|&at| is_version(&name[at + 1..]));
    let of_std = parent.starts_with("/rustc/") && parent.ends_with("/library");
    let name = version_at.map(|at| &name[..at]).or_else(|| of_std.then_some(name));
    name.map(|name| name.replace('-', "_"))
}

/// True of the folder of a package that cargo has fetched, from a registry, from git or into a folder of vendored
/// ones, and of std's.
pub(crate) fn is_fetched(folder: &str) -> bool {
    package(folder).is_some()
        || folder.starts_with("/rustc/")
        || folder.contains("/git/checkouts/")
        || folder.rsplit('/').nth(1) == Some("vendor")
}

fn is_version(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_digit()) && text.contains('.')
}

/// `vec::spec_::` for `vec/spec_/mod.rs`, nothing for `lib.rs`.
fn modules_of(path: &str) -> String {
    let parts = path.strip_suffix(".rs").unwrap_or(path).split('/');
    parts.filter(|part| !["mod", "lib", "main"].contains(part)).map(|part| format!("{part}::")).collect()
}

/// Rust names of both manglings become paths without hash; others stay as they are.
pub(crate) fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Leaves the root of the workspace away: paths below it then are those that spawn sites have.
pub(crate) fn shorten(function: &mut Function, root: &str) {
    let inside = |file: &str| Some(file.strip_prefix(root)?.strip_prefix('/')?.to_owned());
    if let Some(file) = function.file.as_deref().and_then(inside) {
        function.file = Some(file);
    }
}

/// Adds the type parameters, which the usual mangling leaves out, to a function of tokio's task cell:
/// nothing else tells a closure on a blocking thread from a future. Elsewhere they would only be long.
pub(crate) fn with_types(mut name: String, types: Option<String>) -> String {
    if name.starts_with("tokio::runtime::task::") && !name.ends_with('>') {
        name.extend(types);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name that an inlined `name` of `file` gets in a function `outermost` of `/app/shop/src/cart.rs`.
    fn check(name: &str, file: &str, outermost: &str, expected: &str) {
        let function = |name: &str, file: &str| Function {
            name: name.to_owned(),
            file: Some(file.to_owned()),
            line: Some(1),
        };
        let mut functions = [function(name, file), function(outermost, "/app/shop/src/cart.rs")];
        qualify(&mut functions);
        assert_eq!((&*functions[0].name, &*functions[1].name), (expected, outermost), "{name} at {file}");
    }

    #[test]
    fn a_bare_name_gets_its_crate_and_module() {
        let add = "shop_core::cart::add";
        check("{closure#0}", "/app/shop/src/cart.rs", add, "shop_core::cart::{closure#0}");
        check("save", "/app/shop/src/db/mod.rs", add, "shop_core::db::save");
        check("save", "/app/shop/src/lib.rs", "<shop_core::Cart>::add", "shop_core::save");
        check("new<shop::A>", "/rustc/01/library/alloc/src/vec/mod.rs", add, "alloc::vec::new<shop::A>");
        check("run", "/r/index-1/tokio-util-0.7.1/src/task/join.rs", add, "tokio_util::task::join::run");
        check("run", "/r/x-1.0.0-rc.1/src/lib.rs", add, "x::run");
    }

    #[test]
    fn what_cargo_has_fetched_is_not_the_services_own() {
        let check = |folder: &str, expected: bool| assert_eq!(is_fetched(folder), expected, "{folder}");
        check("/r/index-1/tokio-util-0.7.1", true);
        check("/rustc/01/library/alloc", true);
        check("/home/me/.cargo/git/checkouts/pulsar-0123456789abcdef/1a2b3c4", true);
        check("/home/me/.cargo/git/checkouts/pulsar-0123456789abcdef/1a2b3c4/client", true);
        check("/app/vendor/pulsar", true);
        check("/app/shop", false);
        check("/vendor/app/shop", false);
    }

    #[test]
    fn a_name_is_not_guessed() {
        let add = "shop::cart::add";
        check("save", "/app/tokio/src/lib.rs", add, "save");
        check("save", "/app/shop/src/db.rs", "<alloc::vec::Vec<T> as shop::Save>::save", "save");
        check("save", "/app/shop/src/db.rs", "main", "save");
        check("memcpy", "/build/glibc/string/memcpy.c", add, "memcpy");
        check("<A as shop::B>::c", "/app/shop/src/cart.rs", add, "<A as shop::B>::c");
        check("shop::db::save", "/app/shop/src/cart.rs", add, "shop::db::save");
    }
}
