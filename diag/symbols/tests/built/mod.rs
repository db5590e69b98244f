//! A small program, compiled in a folder of the test's own.

use std::path::PathBuf;
use std::process::Command;

/// Prints how far behind its module's base the first instruction of `shop::checkout` lies, plus one: what a
/// return address would be.
const PROGRAM: &str = r#"
mod shop {
    #[inline(never)]
    pub(crate) fn checkout(cart: &[u64]) -> u64 { cart.iter().sum() }
}
fn main() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let checkout = std::hint::black_box(shop::checkout as fn(&[u64]) -> u64);
    checkout(&[1]);
    println!("{}", checkout as usize as u64 - base + 1);
}
"#;

/// A folder of a test's own, which goes with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// An empty one.
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diag-symbols-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// Compiles the program, and gives its path and the address that it prints.
    pub(crate) fn compile(&self, flags: &[&str]) -> (PathBuf, u64) {
        std::fs::write(self.0.join("app.rs"), PROGRAM).expect("a source file");
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        let rustc = rustc.args(["app.rs", "-Clink-arg=-Wl,--build-id"]).args(flags).current_dir(&self.0);
        assert!(rustc.status().expect("rustc runs").success(), "{flags:?}");
        let app = self.0.join("app");
        let printed = Command::new(&app).output().expect("it runs").stdout;
        let address = String::from_utf8_lossy(&printed).trim().parse().expect("an address");
        (app, address)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
