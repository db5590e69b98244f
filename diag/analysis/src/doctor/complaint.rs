//! What keeps a snapshot from showing more, and the mend.

use std::fmt;

use diag_snapshot::SettingSource;

use crate::human;
use crate::unnamed::Unnamed;

/// How much is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// There is nothing to look at, or hardly anything.
    Fault,
    /// Less is seen than could be.
    Lack,
    /// Somebody chose so.
    Choice,
}

impl Severity {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Fault => "fault",
            Severity::Lack => "lack",
            Severity::Choice => "choice",
        }
    }
}

/// One thing that is not as it could be. `Display` says what, [`mend`](Complaint::mend) what to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Complaint {
    /// Nobody listens at the address.
    NothingListens {
        /// Host and port.
        address: String,
    },
    /// Nobody listens at the address, and an agent does at another of this machine.
    OtherPort {
        /// Host and port that were asked.
        address: String,
        /// Host and port where an agent answers.
        found: String,
    },
    /// A process of this machine was told not to be asked.
    ProcessOff {
        /// Its id.
        pid: u32,
        /// The name of its program.
        program: String,
        /// The variable in its environment, `DIAG=off` for instance.
        variable: String,
    },
    /// The agent wants a token.
    TokenMissing {
        /// Host and port.
        address: String,
        /// Whether another token was given.
        was_given: bool,
    },
    /// Something else than an agent answers.
    NoAgent {
        /// Host and port.
        address: String,
        /// What it says.
        answer: String,
    },
    /// The snapshot is of a recorder that does not tell its settings, or of another tool.
    TellsNoSettings {
        /// Its version; empty if it has none.
        version: String,
    },
    /// diag is linked, and was never started.
    NotStarted,
    /// Nothing is recorded.
    SwitchedOff {
        /// Who switched it off.
        from: SettingSource,
    },
    /// No tokio runtime is known.
    NoRuntime,
    /// There are tasks of a runtime that is not known.
    SecondRuntime {
        /// So many live tasks.
        tasks: u64,
        /// The names of the known ones.
        known: Vec<String>,
    },
    /// Two tokios are linked.
    TwoTokios {
        /// Their versions.
        versions: Vec<String>,
    },
    /// tokio is too old to tell all that diag asks it.
    OldTokio {
        /// Its version, if that is known.
        version: Option<String>,
    },
    /// No live task is followed.
    NothingTracked {
        /// So many live tasks are not.
        tasks: u64,
    },
    /// Many live tasks are not followed.
    LowCoverage {
        /// So many are.
        tracked: u64,
        /// So many are not.
        untracked: u64,
        /// The share that is.
        percent: f64,
    },
    /// The recorder's allocator is not linked.
    NoAllocator,
    /// The heap is not sampled.
    HeapOff {
        /// Who switched it off.
        from: SettingSource,
    },
    /// Tasks of libraries are not known.
    CensusOff {
        /// Who switched it off.
        from: SettingSource,
    },
    /// Where tasks are parked is not known.
    ParkedOff {
        /// Who switched it off.
        from: SettingSource,
    },
    /// The stacks of samples have one frame.
    CallerOnly,
    /// Frames of a module have no names.
    Stripped(Unnamed),
    /// Functions are known by name and not by line.
    NoLines {
        /// Functions that are known by name.
        functions: u64,
        /// Those of them that are known by file and line.
        with_line: u64,
    },
    /// A part of the recorder is off.
    PartOff {
        /// What it is called.
        part: String,
        /// Why.
        why: String,
    },
    /// Something was not recorded.
    NotRecorded {
        /// What, and how often.
        sentence: String,
    },
    /// The service was built without optimization.
    DebugBuild,
}

use Complaint::*;

/// What is not as it could be, in one sentence; safe to print.
impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = |count: u64| human::counted(count, "live task");
        match self {
            NothingListens { address } => write!(f, "nothing listens at {address}"),
            OtherPort { address, found } => {
                write!(f, "nothing listens at {address}, but an agent answers at {found}")
            }
            ProcessOff { pid, program, variable } => {
                let (program, variable) = (human::name(program), human::name(variable));
                write!(f, "process {pid} (`{program}`) has {variable} in its environment, so its agent does not listen")
            }
            TokenMissing { address, was_given: false } => {
                write!(f, "the agent at {address} wants a token, and none was given")
            }
            TokenMissing { address, was_given: true } => {
                write!(f, "the agent at {address} wants another token than the one that was given")
            }
            NoAgent { address, answer } => write!(f, "what answers at {address} is no agent: {answer}"),
            TellsNoSettings { version } if version.is_empty() => {
                f.write_str("the snapshot was not taken by diag, so it tells no settings and no coverage")
            }
            TellsNoSettings { version } => {
                write!(f, "the snapshot is of diag {}, which did not write its settings down", human::name(version))
            }
            NotStarted => f.write_str("diag is linked but was not started: it has no agent and samples nothing"),
            SwitchedOff { from } => write!(f, "diag is switched off ({})", set_by("DIAG=off", *from)),
            NoRuntime => f.write_str(
                "no tokio runtime is known: diag was started outside of one, and nothing was spawned through it since, so \
                 there is no coverage",
            ),
            SecondRuntime { tasks: count, known } => {
                let known: Vec<String> = known.iter().map(|name| format!("`{}`", human::name(name))).collect();
                let verb = if *count == 1 { "is" } else { "are" };
                write!(
                    f,
                    "{} {verb} of a runtime that diag does not know; it knows {}",
                    tasks(*count),
                    known.join(", ")
                )
            }
            TwoTokios { versions } => {
                let versions: Vec<String> = versions.iter().map(|version| human::name(version)).collect();
                write!(f, "two tokios are linked, {}: diag sees the tasks of one of them", versions.join(" and "))
            }
            OldTokio { version } => {
                let version = version.as_deref().map_or("this tokio".to_owned(), |version| {
                    format!("tokio {}", human::name(version))
                });
                write!(f, "{version} does not tell how busy its workers are: it is older than 1.45")
            }
            NothingTracked { tasks: count } => {
                write!(f, "coverage is 0 %: none of {} is followed", tasks(*count))
            }
            LowCoverage { tracked, untracked, percent } => write!(
                f,
                "coverage is {percent:.0} %: {} {} followed and {} not",
                tasks(*tracked),
                if *tracked == 1 { "is" } else { "are" },
                human::count(*untracked)
            ),
            NoAllocator => f.write_str(
                "diag::Alloc is not the allocator of this service: there is no heap, and no task of a library",
            ),
            HeapOff { from } => write!(f, "the heap is not sampled ({})", set_by("DIAG_HEAP=off", *from)),
            CensusOff { from } => {
                write!(f, "tasks that libraries spawn are not known ({})", set_by("DIAG_CENSUS=off", *from))
            }
            ParkedOff { from } => {
                write!(f, "where tasks are parked is not known ({})", set_by("DIAG_PARKED=off", *from))
            }
            CallerOnly => f.write_str("the stacks of heap samples have one frame, the caller of the allocator"),
            Stripped(Unnamed { module, frames, of, .. }) => write!(
                f,
                "names are missing for {} of {} frames of {}: it is stripped, and no debug file of its build was found",
                human::count(*frames),
                human::count(*of),
                human::name(module)
            ),
            NoLines { functions, with_line } => write!(
                f,
                "{} of {} are known by file and line: debug info is missing",
                human::count(*with_line),
                human::counted(*functions, "function")
            ),
            PartOff { part, why } => write!(f, "{} is off: {}", human::name(part), human::name(why)),
            NotRecorded { sentence } => f.write_str(sentence),
            DebugBuild => f.write_str("the service is a debug build: its timings are not those of a release"),
        }
    }
}

impl Complaint {
    /// What to do about it, in one sentence; safe to print.
    pub fn mend(&self) -> String {
        let text = match self {
            NothingListens { .. } => {
                "start the service, and see on its stderr where its agent listens (`DIAG_ADDR`); of another machine, bring \
                 the port here with a tunnel"
            }
            OtherPort { found, .. } => return format!("ask http://{found}"),
            ProcessOff { variable, .. } => {
                return format!("start it without {}", human::name(variable));
            }
            TokenMissing { .. } => {
                "give the service's DIAG_TOKEN with `--token` or in the same variable here"
            }
            NoAgent { .. } => "give the address that the service says on stderr when it starts (`DIAG_ADDR`)",
            TellsNoSettings { .. } => "link the newest diag, and take a snapshot of the service with it",
            NotStarted => "call `diag::init()` first thing in `main`",
            SwitchedOff { from } => return undo("DIAG", "enabled(false)", *from),
            NoRuntime => {
                "call `diag::init()` inside of the runtime, or name it: `diag::Builder::new().runtime(\"main\", handle)`"
            }
            SecondRuntime { .. } => "name each runtime: `diag::Builder::new().runtime(\"workers\", handle)`",
            TwoTokios { .. } => {
                "bring the dependencies to one tokio: `cargo tree -i tokio -d` lists who wants which"
            }
            OldTokio { .. } => "`cargo update -p tokio`",
            NothingTracked { .. } | LowCoverage { .. } => {
                "make `diag::Alloc` the global allocator, by which tasks of libraries are known, and spawn your own with \
                 `diag::spawn`"
            }
            NoAllocator => {
                "add to `main.rs`: `#[global_allocator] static ALLOC: diag::Alloc = diag::Alloc::system();`"
            }
            HeapOff { from } => return undo("DIAG_HEAP", "heap(HeapMode::Off)", *from),
            CensusOff { from } => return undo("DIAG_CENSUS", "census(false)", *from),
            ParkedOff { from } => return undo("DIAG_PARKED", "parked(0)", *from),
            CallerOnly => "build diag with its feature `stacks`, on Linux on x86-64",
            Stripped(Unnamed { build_id: Some(id), .. }) => {
                return format!(
                    "keep the binary before it is stripped (or `objcopy --only-keep-debug`), and give its folder with \
                     --debug-dir: build id {}",
                    human::name(id)
                );
            }
            Stripped(Unnamed { build_id: None, .. }) => {
                "link it with `-Wl,--build-id`, or do not strip it: without a build id no debug file can be found"
            }
            NoLines { .. } => "set `debug = \"line-tables-only\"` in `[profile.release]` of Cargo.toml",
            PartOff { .. } => "undo what it names, or leave it so: the other parts work without it",
            NotRecorded { .. } => "see what it says; the rest of the snapshot is whole",
            DebugBuild => "build it with `--release` before times are compared",
        };
        text.to_owned()
    }

    /// How much is lost by it.
    pub fn severity(&self) -> Severity {
        match self {
            NothingListens { .. }
            | OtherPort { .. }
            | ProcessOff { .. }
            | TokenMissing { .. }
            | NoAgent { .. } => Severity::Fault,
            NotStarted | SwitchedOff { .. } | NoRuntime | NothingTracked { .. } => Severity::Fault,
            TellsNoSettings { .. } | SecondRuntime { .. } | TwoTokios { .. } | OldTokio { .. } => {
                Severity::Lack
            }
            LowCoverage { .. } | NoAllocator | CallerOnly | Stripped(_) | NoLines { .. } => Severity::Lack,
            NotRecorded { .. } => Severity::Lack,
            HeapOff { .. } | CensusOff { .. } | ParkedOff { .. } | PartOff { .. } | DebugBuild => {
                Severity::Choice
            }
        }
    }

    /// Which one it is, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            NothingListens { .. } => "nothing_listens",
            OtherPort { .. } => "other_port",
            ProcessOff { .. } => "process_off",
            TokenMissing { .. } => "token_missing",
            NoAgent { .. } => "no_agent",
            TellsNoSettings { .. } => "tells_no_settings",
            NotStarted => "not_started",
            SwitchedOff { .. } => "switched_off",
            NoRuntime => "no_runtime",
            SecondRuntime { .. } => "second_runtime",
            TwoTokios { .. } => "two_tokios",
            OldTokio { .. } => "old_tokio",
            NothingTracked { .. } => "nothing_tracked",
            LowCoverage { .. } => "low_coverage",
            NoAllocator => "no_allocator",
            HeapOff { .. } => "heap_off",
            CensusOff { .. } => "census_off",
            ParkedOff { .. } => "parked_off",
            CallerOnly => "caller_only",
            Stripped(_) => "stripped",
            NoLines { .. } => "no_lines",
            PartOff { .. } => "part_off",
            NotRecorded { .. } => "not_recorded",
            DebugBuild => "debug_build",
        }
    }
}

fn set_by(setting: &str, from: SettingSource) -> String {
    match from {
        SettingSource::Environment => format!("{setting} in its environment"),
        SettingSource::Code => format!("{setting}, by its code"),
        _ => setting.to_owned(),
    }
}

fn undo(variable: &str, call: &str, from: SettingSource) -> String {
    match from {
        SettingSource::Code => format!("take `{call}` out of the `diag::Builder`, or set {variable} to on"),
        _ => format!("start it without {variable}, or with {variable}=on"),
    }
}
