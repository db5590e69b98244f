//! Other words for the folders and files of a service. What lies where the sources of well-known crates are kept, and what is
//! the system's, stays.

use super::names::is_known_crate;
use super::words::Key;
use crate::runtime_frames::{in_recorder, package};

/// What every project has.
const KEPT: &[&str] =
    &["", ".", "..", "src", "bin", "tests", "examples", "benches", "lib.rs", "main.rs", "mod.rs", "build.rs"];
/// Libraries of the system that everybody has.
const SYSTEM_LIBRARIES: &[&str] = &[
    "ld-linux",
    "ld-musl",
    "libc.",
    "libc-",
    "libm.",
    "libm-",
    "libgcc_s",
    "libstdc++",
    "libpthread",
    "libdl",
    "librt",
    "libssl",
    "libcrypto",
    "libz.",
    "libzstd",
    "libresolv",
    "libnss_",
];
/// Where cargo keeps crates: what follows is the registry, then the crate.
const REGISTRY: &str = "/registry/src/";
/// Where the sources of std lie, as they are compiled and as they are installed.
const STD: [&str; 2] = ["/rustc/", "/rustlib/src/"];
/// Where the crates lie that std is built with.
const STD_DEPS: &str = "/rust/deps/";
/// Where else the sources of others lie: that they are others' is what stays of them.
const OTHERS: [&str; 2] = ["/git/checkouts/", "/vendor/"];

/// The path with other words. One of `(other sites)` and the like is none.
pub(super) fn rename_path(path: &str, key: &Key) -> String {
    if let Some(at) = STD.iter().find_map(|folder| path.find(folder)) {
        // From there on it is std's own, unless somebody's folder has the name.
        let (before, std) = path.split_at(at);
        if std.contains("/library/") {
            return folders(before, key) + std;
        }
    }
    if let Some((before, below)) = path.split_once(REGISTRY) {
        return folders(before, key) + REGISTRY + &of_registry(below, key);
    }
    if path.starts_with(STD_DEPS) {
        return path.to_owned();
    }
    if let Some((folder, (before, below))) =
        OTHERS.iter().find_map(|folder| Some((folder, path.split_once(folder)?)))
    {
        return folders(before, key) + folder + &folders(below, key);
    }
    if let Some(below) = in_recorder(path) {
        return format!("/diag/recorder/src/{below}");
    }
    if is_of_system(path) || super::names::is_told_by_diag(path) {
        return path.to_owned();
    }
    folders(path, key)
}

/// `index/tokio-1.47.0/src/task.rs`. A registry of one's own is named by its host.
fn of_registry(below: &str, key: &Key) -> String {
    let mut parts = below.splitn(3, '/');
    let [registry, folder, rest] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let is_public = registry.starts_with("index.crates.io-") || registry.starts_with("github.com-");
    let registry = if is_public { registry.to_owned() } else { key.word(registry) };
    let name = package(folder).unwrap_or(folder);
    if is_known_crate(&name.replace('-', "_")) {
        return format!("{registry}/{folder}/{rest}");
    }
    let version = folder.get(name.len()..).unwrap_or_default();
    format!("{registry}/{}{version}/{}", key.word(name), folders(rest, key))
}

fn folders(path: &str, key: &Key) -> String {
    let words = path.split('/').map(|part| {
        if KEPT.contains(&part) {
            return part.to_owned();
        }
        if let Some(name) = package(part).filter(|name| is_known_crate(&name.replace('-', "_"))) {
            return name.to_owned() + &part[name.len()..];
        }
        match part.rsplit_once('.') {
            Some((name, end @ ("rs" | "so" | "c" | "cpp" | "h"))) => format!("{}.{end}", key.word(name)),
            _ => key.word(part),
        }
    });
    words.collect::<Vec<_>>().join("/")
}

/// Of the kernel, or a library that everybody has.
fn is_of_system(path: &str) -> bool {
    const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];
    /// What a control group tells is below its name.
    const OF_PROC: &[&str] = &["/proc/", "/sys/kernel/"];
    let file = path.rsplit('/').next().unwrap_or(path);
    let is_library = || {
        let lies_there =
            ["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"].iter().any(|folder| path.starts_with(folder));
        lies_there && SYSTEM_LIBRARIES.iter().any(|name| file.starts_with(name))
    };
    DEVICES.contains(&path)
        || OF_PROC.iter().any(|folder| path.starts_with(folder))
        || (path.starts_with('[') && path.ends_with(']'))
        || is_library()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, kept: &[&str], gone: &[&str]) {
        let renamed = rename_path(path, &Key::of_text("any"));
        for part in kept {
            assert!(renamed.contains(part), "{path}: {renamed} lacks {part}");
        }
        for part in gone {
            assert!(!renamed.contains(part), "{path}: {renamed} has {part}");
        }
        assert_eq!(renamed.matches('/').count() > 0, path.contains('/'), "{renamed}");
    }

    #[test]
    fn folders_of_the_service_are_other_ones_and_those_of_libraries_stay() {
        check("/home/me/orders/src/hub.rs", &["/src/", ".rs"], &["home", "me/", "orders", "hub"]);
        check("src/hub/mod.rs", &["src/", "/mod.rs"], &["hub"]);
        check(
            "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.47.0/src/task.rs",
            &["/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.47.0/src/task.rs"],
            &["home", "cargo"],
        );
        check(
            "/root/.cargo/registry/src/crates.acme.example-0a1b/acme-auth-2.0.1/src/login.rs",
            &["/registry/src/", "-2.0.1/src/"],
            &["acme", "login", "root"],
        );
        check("/rustc/0a1b/library/alloc/src/vec/mod.rs", &["/rustc/0a1b/library/alloc/src/vec/mod.rs"], &[]);
        check("/home/rustc/orders/hub.rs", &[".rs"], &["orders", "hub", "home"]);
        check("/home/me/diag/recorder/src/heap/hook.rs", &["/diag/recorder/src/heap/hook.rs"], &["home"]);
        check("/usr/lib/x86_64-linux-gnu/libc.so.6", &["/usr/lib/x86_64-linux-gnu/libc.so.6"], &[]);
        check("/usr/lib/liborders.so", &[], &["orders", "usr"]);
        check("/memfd:orders", &["/"], &["orders"]);
        check("/sys/fs/cgroup/orders.slice", &["/"], &["orders"]);
        check("[vdso]", &["[vdso]"], &[]);
    }
}
