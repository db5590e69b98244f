//! Names that are looked up after the fact: in which files, and in which never.

use std::fs;
use std::path::{Path, PathBuf};

use diag_analysis::named_stacks::NamedStacks;
use diag_analysis::symbols::{DebugFiles, fill_in};
use diag_snapshot::{
    FrameIndex, FrameRow, ModuleIndex, ModuleRow, NameRow, Snapshot, StackRow, Strings, Table,
};
use diag_symbols::ElfFile;
use diag_test_support::folder::Folder;
use diag_test_support::program;

/// A compiled program, and what a stripped process of it would have in its snapshot.
struct App {
    folder: Folder,
    file: PathBuf,
    build_id: String,
    address: u64,
}

const NAMED: &str = "app::shop::checkout (app.rs:4)";
const GONE: &str = "/nowhere/app";

impl App {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        let (file, address) = program::compile(&folder, &["-g"]);
        let build_id = ElfFile::open(&file).and_then(|file| file.build_id()).expect("a build id");
        App { folder, file, build_id, address }
    }

    /// Puts a copy there.
    fn copy(&self, to: &str) {
        let to = self.folder.join(to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(&self.file, to).expect("a copy");
    }

    /// One frame in a module of this path, with `name` or without any.
    fn snapshot(&self, path: &str, build_id: Option<&str>, name: Option<&str>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let strings = &mut snapshot.strings;
        let (path, build_id) = (strings.intern(path), build_id.map(|id| strings.intern(id)));
        let frame = FrameIndex(0);
        let name = name.map(|name| NameRow { frame, function: strings.intern(name), file: None, line: None });
        let stacks = &mut snapshot.stacks;
        stacks.modules.push(ModuleRow { path, build_id, base: 4096, size_bytes: 4096 });
        stacks.frames.push(FrameRow { module: Some(ModuleIndex(0)), offset: self.address });
        stacks.stacks.push(StackRow { caller: None, frame });
        name.into_iter().for_each(|name| stacks.names.push(name));
        snapshot
    }

    /// `shown` is the frame after its name was looked for in `dir`, `notes` what was said of it.
    fn check(&self, mut snapshot: Snapshot, dir: Option<&str>, shown: &str, notes: &[&str]) {
        let dirs: Vec<PathBuf> = dir.map(|dir| self.folder.join(dir)).into_iter().collect();
        let files = DebugFiles::in_dirs(&dirs).expect("it is there");
        let told: Vec<String> = fill_in(&mut snapshot, &files).iter().map(ToString::to_string).collect();
        let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
        let place = named.frame(FrameIndex(0)).last().map(ToString::to_string);
        assert_eq!(
            (place.as_deref(), told.iter().map(|note| &**note).collect()),
            (Some(shown), notes.to_vec())
        );
    }

    fn path(&self) -> &str {
        self.file.to_str().expect("a path of ours")
    }

    fn unnamed(&self) -> String {
        format!("app+{:#x}", self.address)
    }
}

#[test]
fn a_file_of_the_same_build_gives_names() {
    let app = App::new("same");
    let id = Some(&*app.build_id);
    app.check(app.snapshot(app.path(), id, None), None, NAMED, &[]);
    app.check(app.snapshot(&format!("{} (deleted)", app.path()), id, None), None, NAMED, &[]);
    app.copy("flat/any-name");
    app.check(app.snapshot(GONE, id, None), Some("flat"), NAMED, &[]);
    app.copy("deep/1/2/app");
    app.check(app.snapshot(GONE, id, None), Some("deep"), NAMED, &[]);
    app.copy("deeper/1/2/3/app");
    app.check(app.snapshot(GONE, id, None), Some("deeper"), &app.unnamed(), &[]);
    let (first, rest) = app.build_id.split_at(2);
    app.copy(&format!("tree/.build-id/{first}/{rest}.debug"));
    app.check(app.snapshot(GONE, id, None), Some("tree"), NAMED, &[]);
}

#[test]
fn a_file_of_another_build_is_not_used() {
    let app = App::new("other");
    let other = "00".repeat(20);
    let note = format!(
        "{} is another build now (build id {}, the snapshot's is {other}): its names are not used",
        app.path(),
        app.build_id
    );
    app.check(app.snapshot(app.path(), Some(&other), None), None, &app.unnamed(), &[&note]);
    app.copy(&format!("tree/.build-id/00/{}.debug", &other[2..]));
    app.check(app.snapshot(GONE, Some(&other), None), Some("tree"), &app.unnamed(), &[]);
}

#[test]
fn a_path_is_not_followed_without_a_build_id_or_from_here() {
    let app = App::new("hostile");
    let id = Some(&*app.build_id);
    app.check(app.snapshot(app.path(), None, None), None, &app.unnamed(), &[]);
    let relative = format!("{}{}", "../".repeat(20), app.path().trim_start_matches('/'));
    assert!(Path::new(&relative).exists());
    app.check(app.snapshot(&relative, id, None), None, &app.unnamed(), &[]);
    app.check(app.snapshot("/dev/zero/app", id, None), None, &app.unnamed(), &[]);
    app.check(
        app.snapshot(app.path(), Some("../../../app"), None),
        None,
        &app.unnamed(),
        &[&format!(
            "{} is another build now (build id {}, the snapshot's is ../../../app): its names are not used",
            app.path(),
            app.build_id
        )],
    );
}

#[test]
fn a_service_that_knew_names_is_asked_again_for_lines_only_in_folders() {
    let app = App::new("lines");
    let id = Some(&*app.build_id);
    let name = Some("app::shop::checkout");
    app.check(app.snapshot(app.path(), id, name), None, "app::shop::checkout", &[]);
    app.copy("dir/app");
    app.check(app.snapshot(GONE, id, name), Some("dir"), NAMED, &[]);
}

#[test]
fn the_other_frames_keep_their_names() {
    let app = App::new("keep");
    let mut snapshot = app.snapshot(app.path(), Some(&app.build_id), None);
    let Snapshot { strings, stacks, .. } = &mut snapshot;
    stacks.frames.push(FrameRow { module: None, offset: 7 });
    let names = ["inner", "outer"].map(|name| row(strings, FrameIndex(1), name));
    stacks.names = Table::from_iter(names);
    fill_in(&mut snapshot, &DebugFiles::default());
    let named = NamedStacks::new(&snapshot.stacks, &snapshot.strings);
    let all: Vec<&str> = [0, 1]
        .into_iter()
        .flat_map(|frame| named.frame(FrameIndex(frame)).iter().rev().take(2))
        .map(|place| &*place.function)
        .collect();
    assert_eq!(all, ["app::shop::checkout", "outer", "inner"]);
}

fn row(strings: &mut Strings, frame: FrameIndex, name: &str) -> NameRow {
    NameRow { frame, function: strings.intern(name), file: None, line: None }
}
