//! Profiles of pprof as snapshots: what was exported comes back, those of other tools are read, and any bytes give an
//! answer.

use std::collections::BTreeMap;
use std::io::Write as _;

use diag_analysis::import::{ImportError, by_name, recognized};
use diag_analysis::{Analysis, pprof};
use diag_snapshot::{SampleRow, Snapshot, StackIndex};
use diag_test_support::{iothub, profile};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

fn import(file: &[u8]) -> Result<Snapshot, ImportError> {
    by_name("pprof").expect("it is a format").import(file)
}

/// The four sums of each stack, by its functions.
fn sums(file: &[u8]) -> BTreeMap<Vec<String>, [i64; 4]> {
    let mut sums: BTreeMap<Vec<String>, [i64; 4]> = BTreeMap::new();
    for sample in profile::read(file).samples {
        let place = sums.entry(sample.functions).or_default();
        place.iter_mut().zip(sample.values).for_each(|(sum, value)| *sum += value);
    }
    sums
}

#[test]
fn what_was_exported_comes_back_with_the_same_sums() {
    let exported = pprof::heap(&iothub::service(2_000, 1_000).into());
    assert_eq!(recognized(&exported).map(|format| format.name()), Some("pprof"));
    let snapshot = import(&exported).expect("it was written by us");
    let again = pprof::heap(&snapshot.clone().into());
    assert_eq!(sums(&again), sums(&exported));
    assert_eq!(snapshot.process.service, "iothub");
    assert_eq!(snapshot.taken_unix_us(), iothub::service(1, 1).taken_unix_us());
    let modules: Vec<_> =
        snapshot.stacks.modules.iter().map(|module| (module.base, module.size_bytes)).collect();
    assert_eq!(modules, [(0x5555_5555_4000, 9 << 20)]);
    assert_eq!(diag_snapshot::read(&diag_snapshot::write(&snapshot)), Ok((snapshot, vec![])));
}

#[test]
fn two_imports_of_one_file_are_one_process_and_of_another_file_are_not() {
    let file = |samples| pprof::heap(&iothub::service(20, samples).into());
    let instance = |file: &[u8]| import(file).expect("ours").process.instance;
    assert_eq!(instance(&file(20)), instance(&file(20)));
    assert_ne!(instance(&file(20)), instance(&file(21)));
}

/// A profile in the making, as another tool writes it.
#[derive(Default)]
struct Foreign {
    bytes: Vec<u8>,
    strings: Vec<String>,
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn number(tag: u64, number: u64) -> Vec<u8> {
    [varint(tag << 3), varint(number)].concat()
}

fn message(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(tag << 3 | 2), &varint(bytes.len() as u64), bytes].concat()
}

impl Foreign {
    fn new(types: &[(&str, &str)]) -> Self {
        let mut profile = Foreign { strings: vec![String::new()], ..Foreign::default() };
        for (name, unit) in types {
            let kind = [number(1, profile.text(name)), number(2, profile.text(unit))].concat();
            profile.add(1, &kind);
        }
        profile
    }

    fn text(&mut self, text: &str) -> u64 {
        let known = self.strings.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        }) as u64
    }

    fn add(&mut self, tag: u64, bytes: &[u8]) {
        self.bytes.extend(message(tag, bytes));
    }

    fn period(mut self, bytes: u64) -> Self {
        let kind = [number(1, self.text("space")), number(2, self.text("bytes"))].concat();
        self.add(11, &kind);
        self.bytes.extend(number(12, bytes));
        self
    }

    /// A function at an address of its own, with the location of the same id.
    fn function(mut self, id: u64, name: &str, file: &str, line: u64) -> Self {
        let function = [number(1, id), number(2, self.text(name)), number(4, self.text(file))].concat();
        self.add(5, &function);
        let line = [number(1, id), number(2, line)].concat();
        self.add(4, &[number(1, id), number(2, 1), number(3, 0x1000 + id), message(4, &line)].concat());
        self
    }

    fn sample(mut self, locations: &[u64], values: &[i64]) -> Self {
        let packed =
            |tag, all: Vec<u64>| message(tag, &all.into_iter().flat_map(varint).collect::<Vec<u8>>());
        let values = values.iter().map(|value| value.cast_unsigned()).collect();
        // As Go has it: the size of the blocks, as a label with a number.
        let label = message(3, &[number(1, 1), number(3, 48)].concat());
        self.add(2, &[packed(1, locations.to_vec()), packed(2, values), label].concat());
        self
    }

    fn finish(mut self) -> Vec<u8> {
        for text in std::mem::take(&mut self.strings) {
            self.add(6, text.as_bytes());
        }
        self.bytes
    }
}

const GO: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

fn go() -> Foreign {
    Foreign::new(&GO)
        .period(524_288)
        .function(1, "main.(*Cache).Add", "/src/cache.go", 42)
        .function(2, "main.main", "/src/main.go", 7)
        .sample(&[1, 2], &[100_000, 4_800_000, 21_846, 1_048_608])
        .sample(&[2], &[10, 10_485_760, 1, 1_048_576])
        .sample(&[1], &[5, 500, 0, 0])
}

#[test]
fn a_heap_profile_of_go_is_read() {
    let file = go().finish();
    assert_eq!(recognized(&file).map(|format| format.name()), Some("pprof"));
    let snapshot = import(&file).expect("a heap profile");
    let heap = snapshot.heap.as_ref().expect("a heap");
    assert_eq!((heap.facts.rate_bytes, heap.live_bytes().round()), (524_288, 2_097_184.0));
    let rows = |size: fn(&SampleRow) -> bool| heap.samples.iter().filter(size).count();
    // A mebibyte in blocks of 48 bytes is found twice, and one block of a mebibyte once.
    assert_eq!((rows(|row| row.size_bytes == 48), rows(|row| row.size_bytes == 1 << 20)), (2, 1));
    let analysis = Analysis::new(snapshot);
    let profile = analysis.heap().expect("a heap");
    let of = |function: &str| {
        profile.functions.iter().find(|found| *found.place.function == *function).expect("it allocates")
    };
    let add = of("main.(*Cache).Add");
    assert_eq!(add.place.location(), "/src/cache.go:42");
    assert_eq!((add.live.blocks.sum.round(), add.live.bytes.sum.round()), (21_846.0, 1_048_608.0));
    let since = add.since_start;
    assert_eq!((since.allocated_blocks, since.allocated_bytes), (100_005, 4_800_500));
    assert_eq!((since.freed_blocks, since.freed_bytes), (100_005 - 21_846, 4_800_500 - 1_048_608));
    let notes: Vec<String> = diag_analysis::not_recorded(&analysis.snapshot().capture).collect();
    assert!(notes.iter().any(|note| note.contains("no ages of blocks")), "{notes:?}");
}

/// Without numbers of blocks, and with addresses alone.
#[test]
fn a_profile_of_jemalloc_is_read() {
    let mut profile = Foreign::new(&[("inuse_space", "bytes")]).period(1 << 19);
    let mapping =
        [number(1, 1), number(2, 0x40_0000), number(3, 0x50_0000), number(5, profile.text("/usr/bin/shop"))];
    profile.add(3, &mapping.concat());
    profile.add(4, &[number(1, 7), number(2, 1), number(3, 0x40_1234)].concat());
    let file = profile.sample(&[7], &[5 << 19]).sample(&[], &[100]).finish();
    let snapshot = import(&file).expect("a heap profile");
    assert_eq!(snapshot.process.service, "shop");
    let analysis = Analysis::new(snapshot);
    let heap = analysis.heap().expect("a heap");
    assert_eq!(heap.live.bytes.sum.round(), (5 << 19) as f64 + 100.0);
    let mut functions: Vec<&str> = heap.functions.iter().map(|found| &*found.place.function).collect();
    functions.sort_unstable();
    assert_eq!(functions, ["(no stack)", "shop+0x1235"]);
    let notes: Vec<String> = diag_analysis::not_recorded(&analysis.snapshot().capture).collect();
    assert!(notes.iter().any(|note| note.contains("no number of blocks")), "{notes:?}");
}

#[test]
fn cpu_profiles_have_their_sums() {
    let snapshot = iothub::service(24, 24);
    let sample = |stack: u32, samples: u64| pprof::CpuSample {
        stack: StackIndex(stack),
        task_site: (stack > 0).then(|| "src/main.rs:7:9".to_owned()),
        samples,
    };
    let facts = pprof::CpuFacts {
        taken_unix_us: 2_000_000,
        for_us: 1_000_000,
        period_ns: 10_000_000,
        cpu_ns: 90_000_000,
    };
    let file =
        pprof::cpu(&snapshot.stacks, &snapshot.strings, &[sample(0, 6), sample(1, 1), sample(2, 2)], facts);
    let imported = import(&file).expect("a CPU profile");
    assert!(imported.heap.is_none());
    let analysis = Analysis::from(imported);
    let all: (u64, u64) =
        analysis.cpu_stacks().fold((0, 0), |(samples, ns), row| (samples + row.samples, ns + row.cpu_ns));
    assert_eq!(all, (9, 90_000_000));
    // Written and read again it is the same.
    let bytes = diag_snapshot::write(analysis.snapshot());
    let again = diag_snapshot::read(&bytes).expect("a snapshot").0;
    assert_eq!(again.cpu_samples.len(), analysis.snapshot().cpu_samples.len());
}

#[test]
fn cpu_profiles_of_others_come_in_other_units() {
    let profile = |unit| {
        Foreign::new(&[("cpu", unit)]).function(1, "burn", "burn.go", 3).sample(&[1], &[7]).sample(&[1], &[5])
    };
    for (unit, cpu_ns) in [("nanoseconds", 12), ("microseconds", 12_000), ("milliseconds", 12_000_000)] {
        let analysis = Analysis::from(import(&profile(unit).finish()).expect(unit));
        let rows: Vec<_> = analysis.cpu_stacks().map(|row| (row.samples, row.cpu_ns)).collect();
        assert_eq!(rows, [(2, cpu_ns)], "{unit}: one stack, and a sample each time");
    }
    let error = import(&profile("fortnights").finish()).expect_err("a unit that is not known").to_string();
    assert!(error.starts_with("it is neither a heap profile nor a CPU profile"), "{error}");
    let huge = Foreign::new(&[("cpu", "seconds")]).function(1, "f", "f.go", 1).sample(&[1], &[i64::MAX]);
    let analysis = Analysis::from(import(&huge.finish()).expect("absurd, and a profile"));
    assert_eq!(analysis.cpu_stacks().map(|row| row.cpu_ns).collect::<Vec<_>>(), [u64::MAX]);
}

#[test]
fn what_cannot_be_imported_says_why() {
    let wrong = |file: Vec<u8>, what: &str| {
        let error = import(&file).expect_err("it cannot be").to_string();
        assert!(error.contains(what), "{error}");
    };
    let wall = Foreign::new(&[("samples", "count"), ("wall", "nanoseconds")]).finish();
    wrong(
        wall,
        "it is neither a heap profile nor a CPU profile: it has no inuse_space and no cpu, but \"samples\", \"wall\"",
    );
    wrong(Vec::new(), "it has no inuse_space and no cpu, but no value at all");
    wrong(Foreign::new(&[("inuse_space", "kilobytes")]).finish(), "in \"kilobytes\", not in bytes");
    wrong(go().sample(&[1], &[0, 0, -1, -48]).finish(), "a difference of two profiles is not imported");
    wrong(go().sample(&[1], &[0, 0, 1]).finish(), "fewer values than the profile has types");
    wrong(go().sample(&[1, 9], &[0, 0, 1, 48]).finish(), "names location 9, which is not there");
    wrong(go().sample(&[0], &[0, 0, 1, 48]).finish(), "names location 0, which is not there");
    wrong(go().sample(&[1; 1_025], &[0, 0, 1, 48]).finish(), "more than 1024 frames in one stack");
    let mut lost = go();
    lost.add(4, &[number(1, 3), message(4, &number(1, 77))].concat());
    wrong(lost.sample(&[3], &[0, 0, 1, 48]).finish(), "names function 77, which is not there");
    let file = go().finish();
    wrong(file[..file.len() - 3].to_vec(), "cut off");
    wrong(vec![0x1f, 0x8b, 8, 0], "cannot be unpacked");
}

#[test]
fn what_unpacks_to_too_much_is_not_unpacked() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&vec![0; 1 << 20]).expect("memory takes it");
    let mebibyte = gzip.finish().expect("memory takes it");
    let error = import(&mebibyte.repeat(65));
    assert_eq!(error, Err(ImportError::TooMany { what: "bytes when it is unpacked", most: 64 << 20 }));
}

#[test]
fn many_samples_and_many_of_something_are_bounded() {
    // As many messages as nothing: two bytes each.
    let strings = [6 << 3 | 2, 0].repeat((1 << 22) + 1);
    assert_eq!(import(&strings), Err(ImportError::TooMany { what: "strings", most: 1 << 22 }));
    let mut many = go();
    for i in 0..40_000 {
        many = many.sample(&[1, 2], &[0, 0, 1 << 20, (1 << 26) + i]);
    }
    let snapshot = import(&many.finish()).expect("it fits");
    let rows = snapshot.heap.expect("a heap").samples.len() as u64;
    assert!((1 << 20..=1 << 22).contains(&rows), "{rows}");
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = import(&bytes);
    }

    #[test]
    fn any_change_of_a_profile_gives_an_answer(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = go().finish();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        for file in [&file[..], &file[..cut.index(file.len())]] {
            if let Ok(snapshot) = import(file) {
                prop_assert_eq!(diag_snapshot::read(&diag_snapshot::write(&snapshot)), Ok((snapshot.clone(), vec![])));
                let _ = pprof::heap(&snapshot.into());
            }
        }
    }
}
