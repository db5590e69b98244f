//! Any snapshot, however absurd or damaged, has a text.

use diag_analysis::Analysis;
use diag_analysis::dump::dump;
use diag_snapshot::{read, write};
use diag_test_support::{any, forge, iothub};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_snapshot_can_be_dumped(snapshot in any::snapshot()) {
        let text = dump(&snapshot.into());
        prop_assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text}");
    }

    #[test]
    fn any_label_of_any_snapshot_can_be_asked_for(snapshot in any::snapshot()) {
        let analysis = Analysis::new(snapshot);
        for id in analysis.snapshot().strings.iter() {
            if let Some(request) = analysis.request_view(id, 3) {
                prop_assert!(request.tasks.len() <= 3 && request.live >= request.tasks.len() as u64);
            }
        }
    }

    /// Rows that name what is not there, themselves, or each other in a circle.
    #[test]
    fn who_holds_what_can_be_asked_of_any_snapshot(snapshot in any::snapshot()) {
        let mut snapshot = snapshot;
        snapshot.capture.sweep.get_or_insert_with(Default::default);
        let analysis = Analysis::new(snapshot);
        let holders = analysis.holders().expect("swept");
        let tasks: Vec<_> = analysis.snapshot().tasks.id().iter().collect();
        for &task in &tasks {
            prop_assert!(holders.chain(task).len() <= 64);
        }
        holders.cycles().iter().for_each(|cycle| assert!(!cycle.members.is_empty()));
        for row in analysis.snapshot().points.iter() {
            let name = analysis.node_name(row.from());
            prop_assert!(!name.chars().any(char::is_control), "{name}");
        }
        let _ = analysis.now();
    }

    /// Behind right digests the decoders let everything through that a section can hold.
    #[test]
    fn what_is_read_of_arbitrary_sections_can_be_dumped(
        section in 0usize..16,
        bytes in prop::collection::vec(prop::num::u8::ANY, 0..64),
        at in any::<prop::sample::Index>(),
    ) {
        let mut forge = forge::Forge::open(&write(&iothub::service(20, 20)));
        let raw = &mut forge.sections[section].1;
        let start = at.index(raw.len());
        let end = raw.len().min(start + bytes.len());
        raw.splice(start..end, bytes);
        if let Ok((snapshot, _)) = read(&forge.file()) {
            dump(&snapshot.into());
        }
    }
}
