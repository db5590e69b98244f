//! The doctor's word on services that are set up badly: here `diag::Alloc` is not linked. Their healthy twin is in
//! `setups_healthy.rs`.

mod set_up;

use diag_snapshot::SettingSource;
use set_up::{SETUP, checkup, kinds, runtime, spawn_one, write_snapshot};

#[test]
fn in_a_child() {
    let Ok(setup) = std::env::var(SETUP) else { return };
    let (runtime, other) = (runtime(), runtime());
    let start = || diag::Builder::new().service("desk").init();
    let recorded = |polled: tokio::sync::oneshot::Sender<()>| {
        drop(diag::spawn(async move {
            let _ = polled.send(());
            std::future::pending::<()>().await;
        }));
    };
    match setup.as_str() {
        "never started" => {}
        "outside" => start(),
        "second runtime" => {
            runtime.block_on(async { start() });
            spawn_one(&runtime, recorded);
            // More than can come or go while they are counted.
            (0..20).for_each(|_| spawn_one(&other, recorded));
        }
        "past diag" => {
            runtime.block_on(async { start() });
            spawn_one(&runtime, |polled| {
                drop(tokio::spawn(async move {
                    let _ = polled.send(());
                    std::future::pending::<()>().await;
                }));
            });
        }
        "parked off in code" => {
            runtime.block_on(async { diag::Builder::new().parked(0).init() });
            spawn_one(&runtime, recorded);
        }
        _ => {
            runtime.block_on(async { start() });
            spawn_one(&runtime, recorded);
        }
    }
    write_snapshot();
}

/// The sentence of the complaint of this kind, and its mend.
fn said(setup: &str, variables: &[(&str, &str)], kind: &str) -> [String; 2] {
    let checkup = checkup(setup, variables);
    let complaint = checkup.complaints.iter().find(|complaint| complaint.kind() == kind);
    let complaint = complaint.unwrap_or_else(|| panic!("{setup}: {:?}", kinds(&checkup)));
    [complaint.to_string(), complaint.mend()]
}

#[test]
fn each_set_up_has_its_own_sentence_and_mend() {
    for (setup, variables, kind, sentence, mend) in [
        ("usual", &[][..], "no_allocator", "is not the allocator", "#[global_allocator]"),
        ("outside", &[], "no_runtime", "started outside of one", "inside of the runtime"),
        (
            "second runtime",
            &[],
            "second_runtime",
            "20 live tasks are of a runtime that diag does not know",
            "runtime(\"workers\"",
        ),
        ("past diag", &[], "nothing_tracked", "coverage is 0 %: none of 1 live task", "diag::spawn"),
        (
            "usual",
            &[("DIAG", "off")],
            "switched_off",
            "switched off (DIAG=off in its environment)",
            "start it without DIAG",
        ),
        (
            "usual",
            &[("DIAG_PARKED", "off")],
            "parked_off",
            "DIAG_PARKED=off in its environment",
            "DIAG_PARKED=on",
        ),
        ("parked off in code", &[], "parked_off", "DIAG_PARKED=off, by its code", "take `parked(0)` out"),
        (
            "usual",
            &[("DIAG_HEAP", "off")],
            "heap_off",
            "DIAG_HEAP=off in its environment",
            "without DIAG_HEAP",
        ),
        ("never started", &[], "not_started", "was not started", "diag::init()"),
    ] {
        let [is, how] = said(setup, variables, kind);
        assert!(is.contains(sentence) && how.contains(mend), "{setup}: {is} / {how}");
    }
}

#[test]
fn each_setting_says_who_set_it() {
    let checkup = checkup("usual", &[("DIAG_KEEP", "7"), ("DIAG_TOKEN", "hush")]);
    let of = |variable: &str| {
        let setting = checkup.settings.iter().find(|setting| setting.variable == variable);
        setting.map(|setting| (setting.value.as_str(), setting.from))
    };
    assert_eq!(of("DIAG_KEEP"), Some(("7", SettingSource::Environment)));
    assert_eq!(of("DIAG_TOKEN"), Some(("set", SettingSource::Environment)));
    assert_eq!(of("DIAG_EVERY"), Some(("60s", SettingSource::Default)));
    assert!(
        checkup.parts.iter().any(|part| part.name == "agent" && part.why.as_deref() == Some("DIAG_ADDR=off"))
    );
}
