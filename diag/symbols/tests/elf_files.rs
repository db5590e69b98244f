//! What is read from executables of each kind, and that nothing in a file makes the reader fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use diag_symbols::{DebugInfo, Detail, ElfFile, Function, look_up};

/// Prints how far behind its module's base the first instruction of `shop::checkout` lies, plus one: what a
/// return address would be.
const PROGRAM: &str = r#"
mod shop {
    #[inline(never)]
    pub fn checkout(cart: &[u64]) -> u64 { cart.iter().sum() }
}
fn main() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let base = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let checkout = std::hint::black_box(shop::checkout as fn(&[u64]) -> u64);
    checkout(&[1]);
    println!("{}", checkout as usize as u64 - base + 1);
}
"#;

/// A folder of the test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("diag-symbols-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    /// Compiles the program, and gives its path and the address that it prints.
    fn compile(&self, flags: &[&str]) -> (PathBuf, u64) {
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

fn read(app: &Path, addresses: &[u64], inflate_at_most: u64) -> (Vec<Vec<Function>>, DebugInfo) {
    let mut found = Vec::new();
    let file = ElfFile::open(app).expect("an ELF file");
    let debug_info = look_up(&file, addresses, inflate_at_most, |functions| found.push(functions));
    (found, debug_info)
}

/// `flags` are those of rustc; `name` and `line` what is known of the function then.
fn check(flags: &[&str], detail: Detail, name: Option<&str>, line: Option<u32>, debug_info: DebugInfo) {
    let folder = Folder::new(&flags.concat().replace(['/', ',', '='], "-"));
    let (app, address) = folder.compile(flags);
    let file = ElfFile::open(&app).expect("an ELF file");
    assert_eq!(file.detail(), detail, "{flags:?}");
    assert_eq!(file.build_id().map(|id| id.len()), Some(40), "{flags:?}");
    let (found, read) = read(&app, &[address], 64 << 20);
    let outermost = found[0].last();
    assert_eq!(outermost.map(|function| &*function.name), name, "{flags:?}");
    assert_eq!(outermost.and_then(|function| function.line), line, "{flags:?}");
    assert_eq!(read, debug_info, "{flags:?}");
}

const NAME: Option<&str> = Some("app::shop::checkout");
const LINE: Option<u32> = Some(4);

#[test]
fn names_and_lines_come_from_debug_info() {
    check(&["-g"], Detail::Lines, NAME, LINE, DebugInfo::Read);
    check(&["-g", "-Csymbol-mangling-version=v0"], Detail::Lines, NAME, LINE, DebugInfo::Read);
    check(
        &["-Cdebuginfo=line-tables-only", "-Cprefer-dynamic=no"],
        Detail::Lines,
        NAME,
        LINE,
        DebugInfo::Read,
    );
    check(
        &["-g", "-Clink-arg=-Wl,--compress-debug-sections=zlib"],
        Detail::Lines,
        NAME,
        LINE,
        DebugInfo::Read,
    );
}

#[test]
fn without_debug_info_names_are_those_of_symbols() {
    check(&["-Cstrip=debuginfo"], Detail::Names, NAME, None, DebugInfo::None);
    check(&["-Cstrip=symbols"], Detail::Exports, None, None, DebugInfo::None);
}

#[test]
fn split_debug_info_leaves_the_names() {
    check(&["-g", "-Csplit-debuginfo=packed"], Detail::Lines, NAME, LINE, DebugInfo::Split);
    check(&["-g", "-Csplit-debuginfo=unpacked"], Detail::Lines, NAME, LINE, DebugInfo::Split);
}

#[test]
fn what_would_inflate_too_far_is_left() {
    let folder = Folder::new("inflate");
    let (app, address) = folder.compile(&["-g", "-Clink-arg=-Wl,--compress-debug-sections=zlib"]);
    let (found, debug_info) = read(&app, &[address], 1000);
    assert_eq!(debug_info, DebugInfo::Compressed);
    assert_eq!(found[0].last().map(|function| (&*function.name, function.line)), Some((NAME.unwrap(), None)));
}

#[test]
fn only_regular_elf_files_are_opened() {
    let folder = Folder::new("others");
    let pipe = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let text = folder.0.join("text");
    std::fs::write(&text, "no ELF file").expect("a file");
    let empty = folder.0.join("empty");
    std::fs::write(&empty, "").expect("a file");
    let missing = folder.0.join("missing");
    for path in [&pipe, &text, &empty, &missing, &folder.0, Path::new("/dev/zero"), Path::new("")] {
        assert!(ElfFile::open(path).is_none(), "{}", path.display());
    }
}

/// Copies with bytes flipped or the end cut off: whatever is found then, the reader returns.
#[test]
fn damaged_files_are_survived() {
    const VARIANTS: u64 = 150;
    const MOST_FLIPS: usize = 1 << 16;
    let folder = Folder::new("damaged");
    let (app, address) = folder.compile(&["-g", "-Cpanic=abort"]);
    let whole = std::fs::read(&app).expect("it is there");
    let addresses: Vec<u64> = (0..20).map(|i| address + i * 4096).collect();
    let mut random = 1_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let copy = folder.0.join("copy");
    for variant in 0..VARIANTS {
        let mut bytes = whole.clone();
        match variant % 3 {
            0 => bytes.truncate(below(whole.len())),
            1 => (0..below(MOST_FLIPS)).for_each(|_| bytes[below(whole.len())] ^= 1 << below(8)),
            // The header, the tables of segments and of sections.
            _ => (0..4).for_each(|_| {
                let at = below(4096);
                let at = if at < 2048 { at } else { whole.len() - at };
                bytes[at] ^= 1 << below(8);
            }),
        }
        std::fs::write(&copy, bytes).expect("a file");
        if let Some(file) = ElfFile::open(&copy) {
            let (mut answers, _) = (0, (file.build_id(), file.debug_link(), file.detail()));
            look_up(&file, &addresses, 1 << 20, |_| answers += 1);
            assert_eq!(answers, addresses.len(), "variant {variant}");
        }
    }
}
