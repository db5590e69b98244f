//! A small program that knows the address of one of its functions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

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

/// Compiles the program in this folder, and gives its path and the address that it prints.
pub fn compile(folder: &Path, flags: &[&str]) -> (PathBuf, u64) {
    fs::write(folder.join("app.rs"), PROGRAM).expect("a source file");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()));
    let rustc = rustc.args(["app.rs", "-Clink-arg=-Wl,--build-id"]).args(flags).current_dir(folder);
    assert!(rustc.status().expect("rustc runs").success(), "{flags:?}");
    let app = folder.join("app");
    let printed = Command::new(&app).output().expect("it runs").stdout;
    let address = String::from_utf8_lossy(&printed).trim().parse().expect("an address");
    (app, address)
}
