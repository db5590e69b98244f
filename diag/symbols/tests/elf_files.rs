//! What is read from executables of each kind, and that nothing in a file makes the reader fail.

use std::path::Path;
use std::process::Command;

use diag_symbols::{DebugInfo, Detail, ElfFile, Function, look_up};
use diag_test_support::folder::Folder;
use diag_test_support::program;

fn read(app: &Path, addresses: &[u64], inflate_at_most: u64) -> (Vec<Vec<Function>>, DebugInfo) {
    let mut found = vec![Vec::new(); addresses.len()];
    let file = ElfFile::open(app).expect("an ELF file");
    let debug_info = look_up(&file, addresses, inflate_at_most, |asked, functions| found[asked] = functions);
    (found, debug_info)
}

/// `flags` are those of rustc; `name` and `line` what is known of the function then.
fn check(flags: &[&str], detail: Detail, name: Option<&str>, line: Option<u32>, debug_info: DebugInfo) {
    let folder = Folder::new(&flags.concat().replace(['/', ',', '='], "-"));
    let (app, address) = program::compile(&folder, flags);
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
    let (app, address) = program::compile(&folder, &["-g", "-Clink-arg=-Wl,--compress-debug-sections=zlib"]);
    let (found, debug_info) = read(&app, &[address], 1000);
    assert_eq!(debug_info, DebugInfo::Compressed);
    assert_eq!(found[0].last().map(|function| (&*function.name, function.line)), Some((NAME.unwrap(), None)));
}

#[test]
fn only_regular_elf_files_are_opened() {
    let folder = Folder::new("others");
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let text = folder.join("text");
    std::fs::write(&text, "no ELF file").expect("a file");
    let empty = folder.join("empty");
    std::fs::write(&empty, "").expect("a file");
    let missing = folder.join("missing");
    for path in [pipe.as_path(), &text, &empty, &missing, &folder, Path::new("/dev/zero"), Path::new("")] {
        assert!(ElfFile::open(path).is_none(), "{}", path.display());
    }
}

/// Copies with bytes flipped or the end cut off: whatever is found then, the reader returns.
#[test]
fn damaged_files_are_survived() {
    const VARIANTS: u64 = 150;
    const MOST_FLIPS: usize = 1 << 16;
    let folder = Folder::new("damaged");
    let (app, address) = program::compile(&folder, &["-g", "-Cpanic=abort"]);
    let whole = std::fs::read(&app).expect("it is there");
    let addresses: Vec<u64> = (0..20).map(|i| address + i * 4096).collect();
    let mut random = 1_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let copy = folder.join("copy");
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
            look_up(&file, &addresses, 1 << 20, |_, _| answers += 1);
            assert_eq!(answers, addresses.len(), "variant {variant}");
        }
    }
}
