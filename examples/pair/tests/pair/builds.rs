//! The builds of the desk, what each wrote, and the command that judges it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use diag_analysis::Analysis;
use diag_snapshot::file;

/// The programs, which are built one after the other.
pub(crate) struct Programs {
    pub(crate) base: PathBuf,
    pub(crate) leaks: PathBuf,
    mended: PathBuf,
    /// The `diag` command.
    pub(crate) diag: PathBuf,
}

impl Programs {
    /// All of them; whoever asks first builds.
    pub(crate) fn built() -> &'static Programs {
        static BUILT: OnceLock<Programs> = OnceLock::new();
        BUILT.get_or_init(|| {
            let desk = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
            let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
            // The next build has the same name.
            let keep = |name, features| {
                let program = home().join(name);
                fs::copy(build(desk, &["--features", features]), &program).expect("a copy");
                program
            };
            Programs {
                base: keep("base", ""),
                leaks: keep("leaks", "v1_2_1"),
                mended: keep("mended", "mended"),
                diag: build(workspace, &["--bin", "diag"]),
            }
        })
    }
}

/// Where all of it lies, empty at first.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pair");
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a folder");
        home
    })
}

/// The program that cargo builds of this manifest.
fn build(manifest: &str, arguments: &[&str]) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--message-format", "json", "--manifest-path", manifest])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    let messages = String::from_utf8(built.stdout).expect("JSON");
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().expect("an executable")
}

/// What runs of the programs, beside each other, left in their folders.
pub(crate) struct Runs {
    pub(crate) base: Run,
    pub(crate) again: Run,
    pub(crate) leaks: Run,
    pub(crate) mended: Run,
    /// With half as many clients again.
    pub(crate) busier: Run,
}

impl Runs {
    /// All of them; whoever asks first waits for their ends.
    pub(crate) fn ended() -> &'static Runs {
        static ENDED: OnceLock<Runs> = OnceLock::new();
        ENDED.get_or_init(|| {
            let programs = Programs::built();
            let start = |name, program: &Path, clients: &str| {
                let folder = home().join(format!("{name}-snapshots"));
                let run = Command::new(program).arg(&folder).args(["--clients", clients]).spawn();
                (Run { folder }, run.expect("it starts"))
            };
            let started = [
                start("base", &programs.base, "40"),
                start("again", &programs.base, "40"),
                start("leaks", &programs.leaks, "40"),
                start("mended", &programs.mended, "40"),
                start("busier", &programs.mended, "60"),
            ];
            let [base, again, leaks, mended, busier] = started.map(|(run, mut child)| {
                let status = child.wait().expect("it ends");
                assert!(status.success(), "{status}");
                run
            });
            Runs { base, again, leaks, mended, busier }
        })
    }
}

/// What one run left.
pub(crate) struct Run {
    folder: PathBuf,
}

impl Run {
    /// Its folder, as the command is given it.
    pub(crate) fn folder(&self) -> &str {
        self.folder.to_str().expect("a path that is text")
    }

    pub(crate) fn snapshots(&self) -> Vec<Analysis> {
        let read = |number| {
            let (snapshot, damage) = file::read(&self.folder.join(format!("{number}.diag"))).expect("a file");
            assert_eq!(damage, []);
            Analysis::new(snapshot)
        };
        (1..=4).map(read).collect()
    }

    pub(crate) fn last(&self) -> Analysis {
        self.snapshots().pop().expect("four of them")
    }

    pub(crate) fn truth(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.folder.join("truth.json")).expect("a file")).expect("JSON")
    }

    /// `src/desk.rs` and the line where the desk says that it spawns sessions.
    pub(crate) fn spawned_at(&self) -> String {
        self.truth()["sessions_spawned_at"].as_str().expect("a line").to_owned()
    }
}
