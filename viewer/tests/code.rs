//! Lines of source code beside places: those of the folder that a person named, whatever a snapshot says.
#![cfg(unix)]

mod site;

use std::fs;
use std::path::Path;

use diag_snapshot::{SiteRow, Snapshot};
use diag_test_support::scenario::{Churn, Ghosts, Service, in_order};
use diag_viewer::{Access, Editor, Source, router};
use site::{Folder, Viewer};

/// A service whose spawn sites all lie in this file, at line 7.
fn in_file(file: &str, at: f64) -> Snapshot {
    let ghosts = Ghosts { line: 7, from: 0.0, until: 20.0, per_s: 20.0 }.tasks();
    let tasks = in_order([Churn { until: 60.0, ..Churn::default() }.tasks(), ghosts].concat());
    let mut snapshot = Service::new(tasks).at(at);
    let text = snapshot.strings.intern(file);
    snapshot.sites =
        snapshot.sites.iter().map(|site| SiteRow { file: text, line: 7, column: 9, ..site }).collect();
    snapshot
}

/// Twenty lines that say where they are.
fn lines(name: &str) -> String {
    (1..=20).map(|line| format!("let {name}_{line} = \"<b>&\";\n")).collect()
}

/// A folder `shop` with source code, and beside it what nobody is to see.
fn sources(test: &str) -> Folder {
    let folder = Folder::new(test);
    for (path, name) in [
        ("shop/src/hub.rs", "hub"),
        ("shop/crates/a/src/lib.rs", "a"),
        ("shop/crates/b/src/lib.rs", "b"),
        ("shop/target/debug/build/out.rs", "built"),
        ("shop/.git/hidden.rs", "hidden"),
        ("secret.rs", "secret"),
    ] {
        fs::create_dir_all(folder.join(path).parent().expect("a folder")).expect("a folder");
        fs::write(folder.join(path), lines(name)).expect("a file");
    }
    fs::write(folder.join("shop/src/short.rs"), "fn main() {}\n").expect("a file");
    fs::write(folder.join("shop/src/binary.rs"), [b"\xff\xfe\n".repeat(20), vec![0]].concat())
        .expect("a file");
    fs::write(folder.join("shop/src/large.rs"), "x\n".repeat(2 << 20)).expect("a file");
    fs::write(folder.join("shop/src/passwd"), lines("passwd")).expect("a file");
    folder
}

fn viewer(folder: &Path, snapshots: &Path, editor: Option<&str>) -> Viewer {
    let mut access = Access::default().with_source_root(folder.join("shop"));
    if let Some(editor) = editor {
        access = access.with_editor(Editor::parse(editor).expect("an editor"));
    }
    Viewer(router(Source::folder(snapshots), access))
}

/// The page of the spawn site of a service that says it is in this file.
async fn page_of(folder: &Folder, file: &str) -> String {
    let snapshots = Folder::new("code-snapshots");
    let id = snapshots.write("a.diag", &in_file(file, 20.0));
    viewer(folder, &snapshots, Some("vscode")).page(&format!("/s/{id}/site/0")).await
}

fn shows(page: &str, name: &str) -> bool {
    page.contains(&format!("</span>let {name}_7 = &#34;&#60;b&#62;&#38;&#34;;"))
}

#[tokio::test]
async fn the_file_that_is_meant_is_shown_around_its_line() {
    let folder = sources("code");
    let root = folder.canonicalize().expect("a folder");
    let absolute = root.join("shop/src/hub.rs").display().to_string();
    for file in [
        "src/hub.rs",
        "./src/hub.rs",
        "shop/src/hub.rs",
        "hub.rs",
        "/builds/ci/shop/src/hub.rs",
        &absolute,
        "C:\\ci\\shop\\src\\hub.rs",
    ] {
        let page = page_of(&folder, file).await;
        assert!(shows(&page, "hub"), "{file}: {page}");
        assert!(
            page.contains("hub_3")
                && page.contains("hub_11")
                && !page.contains("hub_2 ")
                && !page.contains("hub_12"),
            "{page}"
        );
        assert!(page.contains("<span class=\"line meant\"><span class=\"number\">7</span>"), "{page}");
        let link = format!("href=\"vscode://file{absolute}:7:9\"");
        assert!(page.contains(&link), "{link}: {page}");
    }
    assert!(shows(&page_of(&folder, "a/src/lib.rs").await, "a"));
    assert!(shows(&page_of(&folder, "crates/b/src/lib.rs").await, "b"));
}

#[tokio::test]
async fn nothing_is_shown_of_what_is_not_meant() {
    let folder = sources("code-hostile");
    std::os::unix::fs::symlink(folder.join("secret.rs"), folder.join("shop/src/link.rs")).expect("a link");
    std::os::unix::fs::symlink(&*folder, folder.join("shop/out")).expect("a link");
    let secret = folder.join("secret.rs").display().to_string();
    for file in [
        // Outside of the folder, by whatever way.
        "/etc/passwd",
        "../secret.rs",
        "src/../../secret.rs",
        "../../../../../../etc/passwd",
        &secret,
        "secret.rs",
        "src/link.rs",
        "out/secret.rs",
        "shop/../secret.rs",
        "..\\secret.rs",
        "/proc/self/environ",
        "file:///etc/passwd",
        "src/hub.rs/../../../secret.rs",
        // No source code.
        "src/passwd",
        "passwd",
        "src",
        "",
        "/",
        ".",
        "..",
        // Two of the name, and other files of the name.
        "lib.rs",
        "src/lib.rs",
        "/elsewhere/c/src/lib.rs",
        "b/hub.rs",
        "/x/hub.rs",
        "/root/.cargo/registry/src/index-1/hub-1.0.0/src/hub.rs",
        "/rustc/0123/library/src/hub.rs",
        "/x/vendor/y/src/hub.rs",
        // What cannot be or need not be read.
        "src/short.rs",
        "src/binary.rs",
        "src/large.rs",
        "target/debug/build/out.rs",
        ".git/hidden.rs",
    ] {
        let page = page_of(&folder, file).await;
        assert!(!page.contains("class=\"excerpt\"") && !page.contains("vscode://"), "{file}: {page}");
        assert!(!page.contains("secret_7") && !page.contains("root:"), "{file}: {page}");
    }
    // The check sees what it looks for.
    assert!(page_of(&folder, "src/hub.rs").await.contains("class=\"excerpt\""));
}

#[tokio::test]
async fn a_file_that_becomes_a_link_is_not_followed() {
    let folder = sources("code-swapped");
    let snapshots = Folder::new("code-swapped-snapshots");
    let id = snapshots.write("a.diag", &in_file("src/hub.rs", 20.0));
    let viewer = viewer(&folder, &snapshots, None);
    let path = format!("/s/{id}/site/0");
    let page = viewer.page(&path).await;
    assert!(shows(&page, "hub") && !page.contains("open in the editor"), "{page}");
    fs::remove_file(folder.join("shop/src/hub.rs")).expect("it was there");
    std::os::unix::fs::symlink(folder.join("secret.rs"), folder.join("shop/src/hub.rs")).expect("a link");
    assert!(!viewer.page(&path).await.contains("class=\"excerpt\""));
}

#[tokio::test]
async fn findings_have_it_too_and_nobody_who_did_not_ask() {
    let folder = sources("code-finding");
    let snapshots = Folder::new("code-finding-snapshots");
    let [a, b] = [("a.diag", 15.0), ("b.diag", 30.0)]
        .map(|(name, at)| snapshots.write(name, &in_file("src/hub.rs", at)));
    let with = viewer(&folder, &snapshots, None);
    let report = with.json(&format!("/api/v1/d/{a}..{b}")).await;
    let id = report["findings"][0]["id"].as_str().expect("a finding");
    for path in [format!("/f/{id}"), format!("/d/{a}..{b}/v/{id}")] {
        let page = with.page(&path).await;
        assert!(page.contains("Its source code") && shows(&page, "hub"), "{page}");
        assert_eq!(page.matches("class=\"excerpt\"").count(), 1, "each place once: {page}");
        assert!(!snapshots.viewer().page(&path).await.contains("class=\"excerpt\""));
        // A file for a ticket goes to others.
        assert!(!with.page(&format!("{path}/export/html")).await.contains("hub_7"));
    }
}

#[tokio::test]
async fn await_points_have_it_too() {
    let folder = Folder::new("code-await");
    fs::create_dir_all(folder.join("shop/src/bin")).expect("a folder");
    fs::write(folder.join("shop/src/bin/futurelock.rs"), lines("lock").repeat(2)).expect("a file");
    let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/series/futurelock");
    let viewer = viewer(&folder, &series, None);
    let awaits = viewer.json("/api/v1/s/live/tasks?group=await").await;
    let rows = awaits["rows"].as_array().expect("rows");
    let mut points = rows.iter().map(|row| &row["await_point"]);
    let is_its = |point: &&serde_json::Value| {
        point["text"].as_str().is_some_and(|text| text.contains("futurelock.rs:28"))
    };
    let id = points.find(is_its).expect("tasks wait there")["id"].as_str().expect("an id").to_owned();
    let page = viewer.page(&format!("/s/live/await/{id}")).await;
    assert!(
        page.contains("src/bin/futurelock.rs:28</figcaption>") && page.contains("</span>let lock_8 ="),
        "{page}"
    );
}
