//! Labels in a snapshot are what the service said of its tasks, to the row: who inherits them, who replaces them, and who
//! has none.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::mpsc;

use diag::scope;
use diag::task::{Builder, JoinHandle, JoinSet, LocalSet, track};
use diag_snapshot::Snapshot;
use tokio::task::yield_now;

/// Labels of each live task that has a name, the innermost first.
fn labels() -> BTreeMap<String, String> {
    let model = diag::snapshot().into_model();
    let names = model.tasks.iter().filter_map(|task| Some((task.id, text(&model, task.name?))));
    names.map(|(id, name)| (name, labels_of(&model, id))).collect()
}

fn labels_of(model: &Snapshot, task: diag_snapshot::TaskId) -> String {
    let labels = model.labels.iter().filter(|label| label.task == task);
    let labels = labels.map(|label| format!("{}={}", text(model, label.key), text(model, label.value)));
    labels.collect::<Vec<_>>().join(" ")
}

fn text(model: &Snapshot, index: diag_snapshot::StringIndex) -> String {
    model.strings.show(index).to_owned()
}

/// The tasks of the test by their names, all of which begin with this.
#[track_caller]
fn check(test: &str, expected: &[(&str, &str)]) {
    let of_test =
        |(name, labels): (String, String)| Some((name.strip_prefix(test)?.trim().to_owned(), labels));
    let found: BTreeMap<_, _> = labels().into_iter().filter_map(of_test).collect();
    let expected = expected.iter().map(|&(name, labels)| (name.to_owned(), labels.to_owned()));
    assert_eq!(found, expected.collect());
}

/// A task that stays, by name.
fn stay(name: &str) -> JoinHandle<()> {
    Builder::new().name(name).spawn(pending()).expect("never fails")
}

async fn polled_once() {
    for _ in 0..8 {
        yield_now().await;
    }
}

#[tokio::test]
async fn children_inherit_and_others_do_not() {
    stay("inherit before");
    let session = scope("device", 17).spawn(async {
        stay("inherit child");
        yield_now().await;
        diag::spawn(async {
            stay("inherit grandchild");
            pending::<()>().await;
        });
        yield_now().await;
        stay("inherit later child");
        pending::<()>().await;
    });
    polled_once().await;
    stay("inherit after");
    check(
        "inherit",
        &[
            ("before", ""),
            ("after", ""),
            ("child", "device=17"),
            ("later child", "device=17"),
            ("grandchild", "device=17"),
        ],
    );
    session.abort();
}

#[tokio::test]
async fn a_scope_within_adds_and_overrides() {
    let outer = scope("device", 17).label("tenant", "acme");
    outer
        .run(async {
            stay("nested outer");
            scope("request", "r1").run(async { drop(stay("nested more")) }).await;
            yield_now().await;
            scope("device", 18).run(async { drop(stay("nested other")) }).await;
            let named = Builder::new().name("nested builder").label("device", 19).label("part", 3);
            named.spawn(pending::<()>()).expect("never fails");
            stay("nested outer again");
        })
        .await;
    stay("nested outside");
    check(
        "nested",
        &[
            ("outer", "tenant=acme device=17"),
            ("more", "request=r1 tenant=acme device=17"),
            ("other", "device=18 tenant=acme"),
            ("builder", "part=3 device=19 tenant=acme"),
            ("outer again", "tenant=acme device=17"),
            ("outside", ""),
        ],
    );
}

/// Polls of several tasks and scopes on one thread take turns, and each has its own labels in each.
#[tokio::test]
async fn tasks_that_take_turns_keep_their_own() {
    let turns = |id: u32| async move {
        for turn in 0..3 {
            stay(&format!("turns {id}.{turn}"));
            yield_now().await;
        }
    };
    let tasks: Vec<_> = (0..3).map(|id| scope("device", id).spawn(turns(id))).collect();
    tokio::join!(scope("device", 7).run(turns(7)), turns(8), scope("device", 9).run(turns(9)));
    for task in tasks {
        task.await.expect("it ends");
    }
    let expected =
        [(0, "device=0"), (1, "device=1"), (2, "device=2"), (7, "device=7"), (8, ""), (9, "device=9")];
    let expected =
        expected.iter().flat_map(|&(id, label)| (0..3).map(move |turn| (format!("{id}.{turn}"), label)));
    let expected: Vec<(String, &str)> = expected.collect();
    check("turns", &expected.iter().map(|(name, label)| (name.as_str(), *label)).collect::<Vec<_>>());
}

#[tokio::test]
async fn sets_threads_and_futures_inherit_as_tasks_do() {
    let (release, released) = mpsc::channel::<()>();
    let mut set = JoinSet::new();
    let scope = scope("device", 17);
    scope.in_scope(|| set.spawn(async { drop(stay("kinds of a set")) }));
    let blocking = scope.in_scope(|| {
        let spawn = move || {
            stay("kinds of a thread");
            let _ = released.recv();
        };
        Builder::new().name("kinds blocking").spawn_blocking(spawn).expect("never fails")
    });
    let tracked = scope.in_scope(|| track(async { drop(stay("kinds of a tracked future")) }));
    tracked.await;
    let local = LocalSet::new();
    local
        .run_until(scope.run(async {
            let local = Builder::new().name("kinds local");
            local.spawn_local(async { drop(stay("kinds of a local")) }).expect("never fails");
            tokio::task::spawn_local(async { drop(stay("kinds of one that is not recorded")) });
            polled_once().await;
            let long = Builder::new().name("kinds local that stays");
            long.spawn_local(pending::<()>()).expect("never fails");
        }))
        .await;
    set.join_next().await.expect("one").expect("it ends");
    while !labels().contains_key("kinds of a thread") {
        yield_now().await;
    }
    stay("kinds outside");
    check(
        "kinds",
        &[
            ("of a set", "device=17"),
            ("of a thread", "device=17"),
            ("blocking", "device=17"),
            ("of a tracked future", "device=17"),
            ("of a local", "device=17"),
            ("local that stays", "device=17"),
            ("of one that is not recorded", ""),
            ("outside", ""),
        ],
    );
    drop(release);
    blocking.await.expect("it ends");
}

/// What a destructor spawns to clean up is for whom the cancelled task was.
#[tokio::test]
async fn what_a_destructor_spawns_inherits() {
    struct Cleanup(&'static str);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            stay(self.0);
        }
    }
    let hold = |name| async move {
        let _cleanup = Cleanup(name);
        pending::<()>().await;
    };
    let task = scope("device", 17).spawn(hold("cleanup of a task"));
    let other = diag::spawn(hold("cleanup of one without labels"));
    let mut scoped = Box::pin(scope("device", 18).run(hold("cleanup of a scope")));
    tokio::select! {
        () = &mut scoped => unreachable!(),
        () = polled_once() => drop(scoped),
    }
    task.abort();
    other.abort();
    polled_once().await;
    check(
        "cleanup",
        &[("of a task", "device=17"), ("of one without labels", ""), ("of a scope", "device=18")],
    );
}

#[tokio::test]
async fn a_poll_that_panics_takes_its_labels_along() {
    let task = scope("device", 17).spawn(async { panic!("as told") });
    assert!(task.await.is_err());
    let local = LocalSet::new();
    let panics = local.spawn_local(scope("device", 18).run(async { panic!("as told") }));
    assert!(local.run_until(panics).await.is_err());
    stay("panic after");
    check("panic", &[("after", "")]);
}

/// Markup, control characters and what is too long: cut, kept as it is otherwise. Who shows it, escapes it.
#[tokio::test]
async fn hostile_labels_are_cut_and_kept() {
    let (markup, control) = ("<script>alert(1)</script>", "a\u{1b}[2J\r\nb\0");
    let long = "€".repeat(1 << 20);
    let labels =
        Builder::new().name("hostile").label("markup", markup).label(control, control).label("long", &long);
    labels.label("empty", "").label("", "no key").spawn(pending::<()>()).expect("never fails");
    let cut = "€".repeat(42);
    let expected = format!("=no key empty= long={cut} {control}={control} markup={markup}");
    check("hostile", &[("", &expected)]);
    let snapshot = diag::snapshot().into_model();
    assert!(snapshot.capture.dropped["label_values_cut"] >= 1);
    let bytes = diag_snapshot::write(&snapshot);
    assert_eq!(diag_snapshot::read(&bytes).expect("a file").0.labels, snapshot.labels);
}
