//! What is read address by address from debug info is what the crate `addr2line` reads, which keeps whole tables of it.

use std::path::Path;

use addr2line::gimli::{DwarfSections, EndianSlice, LittleEndian};
use diag_symbols::{ElfFile, Function, look_up};
use diag_test_support::folder::Folder;
use diag_test_support::program;
use object::{Object, ObjectSection, SectionKind};

type Frames = Vec<(String, Option<String>, Option<u32>)>;

/// The functions at every address by the other reader, innermost first; addresses are those of calls.
fn by_addr2line(bytes: &[u8], calls: &[u64]) -> Vec<Frames> {
    let file = object::File::parse(bytes).expect("an ELF file");
    let sections = DwarfSections::load(|id| {
        let section = file.section_by_name(id.name());
        section.map_or(Ok(Default::default()), |section| section.uncompressed_data())
    });
    let sections = sections.expect("sections");
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
    let context = addr2line::Context::from_dwarf(dwarf).expect("debug info");
    let frames_at = |&call: &u64| {
        let mut frames = context.find_frames(call).skip_all_loads().expect("it is in order");
        let mut found = Frames::new();
        while let Some(frame) = frames.next().expect("it is in order") {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let name =
                name.map_or("(unnamed)".to_owned(), |name| format!("{:#}", rustc_demangle::demangle(&name)));
            let place = frame.location.map_or((None, None), |at| (at.file.map(str::to_owned), at.line));
            found.push((name, place.0, place.1));
        }
        found
    };
    calls.iter().map(frames_at).collect()
}

/// Our names are whole, and our paths may be below the root of the workspace.
fn is_same(
    ours: &Function,
    (name, file, line): &(String, Option<String>, Option<u32>),
    is_outermost: bool,
) -> bool {
    let plain =
        |name: &str| name.split('<').next().unwrap_or_default().rsplit("::").next().map(str::to_owned);
    let name_fits = is_outermost || ours.name.ends_with(name) || plain(&ours.name) == plain(name);
    let file_fits = match (&ours.file, file) {
        (Some(ours), Some(file)) => file.ends_with(ours.as_str()),
        (ours, file) => ours.is_none() && file.as_ref().is_none_or(String::is_empty),
    };
    name_fits && file_fits && ours.line == *line
}

/// Every seventh byte of the code, as a stack may have any.
fn check(path: &Path, at_least: usize) {
    let bytes = std::fs::read(path).expect("it is there");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
    let calls: Vec<u64> =
        code.flat_map(|section| (section.address()..section.address() + section.size()).step_by(7)).collect();
    let step = (calls.len() / 4_000).max(1);
    let calls: Vec<u64> = calls.into_iter().step_by(step).collect();
    let expected = by_addr2line(&bytes, &calls);
    let mut found = vec![Vec::new(); calls.len()];
    // In an order of no meaning, as a capture asks.
    let order: Vec<usize> = (0..calls.len()).map(|i| (i * 7_919) % calls.len()).collect();
    let behind: Vec<u64> = order.iter().map(|&i| calls[i] + 1).collect();
    let elf = ElfFile::open(path).expect("an ELF file");
    look_up(&elf, &behind, 0, |asked, functions| found[order[asked]] = functions);
    let (mut inlined, mut different) = (0, Vec::new());
    for ((call, expected), found) in calls.iter().zip(&expected).zip(&found) {
        // Without debug info the symbol is all there is.
        if expected.is_empty() {
            continue;
        }
        inlined += usize::from(expected.len() > 1);
        let last = expected.len() - 1;
        let mut pairs = found.iter().zip(expected).enumerate();
        if found.len() != expected.len() || !pairs.all(|(i, (ours, theirs))| is_same(ours, theirs, i == last))
        {
            different.push(format!("{call:#x}: {found:#?} {expected:#?}"));
        }
    }
    assert!(inlined >= at_least, "{} has {inlined} of {} inlined", path.display(), calls.len());
    let share = different.len() as f64 / calls.len() as f64;
    assert!(different.is_empty(), "{share} of {}: {}", path.display(), different[0]);
}

#[test]
fn of_a_debug_build() {
    check(&std::env::current_exe().expect("this test has a path"), 500);
}

#[test]
fn of_optimized_programs() {
    for flags in [
        &["-g", "-O"][..],
        &["-Cdebuginfo=line-tables-only", "-O"],
        // Names are then in other units.
        &["-g", "-O", "-Clto=fat", "-Ccodegen-units=1"],
        &["-g", "-O", "-Cdwarf-version=4"],
        &["-g", "-O", "-Cdwarf-version=5"],
    ] {
        let folder = Folder::new(&format!("second-{}", flags.concat().replace(['/', ',', '='], "-")));
        check(&program::compile(&folder, flags).0, 100);
    }
}
