//! What the service says of itself: its settings, gauges and ratios, and the runtimes that it knows.

use std::collections::HashMap;

use diag_snapshot::{ExpectedRatio, Gauge, Part, PartState, Runtime, RuntimeIndex, Setting, SettingSource};

use super::layout::Layout;
use super::memory::Memory;

/// A smaller word of a handle says which kind of runtime it is.
const LARGEST_TAG: u64 = 4_096;

/// The gauges, in the order of their making.
pub(super) fn gauges(memory: &Memory<'_>, layout: &Layout) -> Vec<Gauge> {
    let table = layout.table("gauges");
    let [name, value] = ["name", "value"].map(|name| table.column(name));
    let gauge = |(_, record): &(u64, &[u8])| {
        Some(Gauge { name: name.text(record, memory)?, value: value.of(record).cast_signed() })
    };
    table.list(memory).iter().filter_map(gauge).collect()
}

/// The ratios, in the order in which they were declared.
pub(super) fn expected_ratios(memory: &Memory<'_>, layout: &Layout) -> Vec<ExpectedRatio> {
    let table = layout.table("expected_ratios");
    let [tasks, gauge, ratio_ppm, tolerance_ppm] =
        ["tasks", "gauge", "ratio_ppm", "tolerance_ppm"].map(|name| table.column(name));
    let ratio = |(_, record): &(u64, &[u8])| {
        Some(ExpectedRatio {
            tasks: tasks.text(record, memory)?,
            gauge: gauge.text(record, memory)?,
            ratio_ppm: ratio_ppm.of(record),
            tolerance_ppm: tolerance_ppm.of(record),
        })
    };
    table.list(memory).iter().filter_map(ratio).collect()
}

/// What was set, and by whom.
pub(super) fn settings(memory: &Memory<'_>, layout: &Layout) -> Vec<Setting> {
    let text = layout.table("settings").text(memory).unwrap_or_default();
    let words: Vec<&str> = text.split('\0').collect();
    let setting = |[variable, value, from]: &[&str; 3]| Setting {
        variable: (*variable).to_owned(),
        value: (*value).to_owned(),
        from: source(from),
    };
    words.as_chunks().0.iter().map(setting).collect()
}

/// What the parts of the recorder did; of some what they did when somebody asked last.
pub(super) fn parts(memory: &Memory<'_>, layout: &Layout) -> Vec<Part> {
    let text = layout.table("parts").text(memory).unwrap_or_default();
    let words: Vec<&str> = text.split('\0').collect();
    let part = |[name, state, why]: &[&str; 3]| Part {
        name: (*name).to_owned(),
        state: part_state(state),
        why: Some((*why).to_owned()).filter(|why| !why.is_empty()),
    };
    words.as_chunks().0.iter().map(part).collect()
}

fn part_state(word: &str) -> PartState {
    let all = [PartState::Works, PartState::Off, PartState::Failed];
    all.into_iter().find(|state| state.as_str() == word).unwrap_or_default()
}

fn source(word: &str) -> SettingSource {
    let all = [SettingSource::Default, SettingSource::Code, SettingSource::Environment];
    all.into_iter().find(|source| source.as_str() == word).unwrap_or_default()
}

/// The runtimes of the process, as far as a core tells of them, and their places by the addresses of their schedulers.
pub(super) fn runtimes(memory: &Memory<'_>, layout: &Layout) -> (Vec<Runtime>, HashMap<u64, RuntimeIndex>) {
    let table = layout.table("runtimes");
    let [process, name, workers, handle] =
        ["process", "name", "workers", "handle"].map(|name| table.column(name));
    let own = layout.table("process").number(memory).unwrap_or(0);
    let (mut runtimes, mut schedulers) = (Vec::new(), HashMap::new());
    for (_, record) in table.list(memory).into_iter().filter(|(_, record)| process.of(record) == own) {
        let Some(name) = name.text(record, memory) else { continue };
        let place = RuntimeIndex(runtimes.len() as u32);
        runtimes.push(Runtime { name, workers: workers.of(record), ..Runtime::default() });
        schedulers.extend(handle.all(record).filter(|&word| word > LARGEST_TAG).map(|word| (word, place)));
    }
    (runtimes, schedulers)
}
