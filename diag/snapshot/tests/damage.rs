//! Whatever happens to a file on its way, the reader says what is lost and where, and never lies.

use diag_snapshot::format::read_facts;
use diag_snapshot::{Damage, ReadError, Snapshot, read, write};
use diag_test_support::forge::{ENTRY_BYTES, HEADER_BYTES, Place, places};
use diag_test_support::random::SplitMix;
use diag_test_support::{forge, iothub};
use proptest::prelude::*;

/// `read` must notice: an error, or damage in the list.
fn notice(bytes: &[u8]) -> Result<(Snapshot, Vec<Damage>), ReadError> {
    let read = read(bytes);
    if let Ok((_, damage)) = &read {
        assert!(!damage.is_empty(), "the damage went unnoticed");
    }
    read
}

/// What is not in the list is as it was.
fn check_rest(whole: &Snapshot, partial: &Snapshot, damage: &[Damage]) {
    let lost = |section| damage.iter().any(|damage| damage.section == section);
    assert_eq!(whole.process, partial.process);
    assert_eq!(whole.capture, partial.capture);
    assert!(lost("strings") || whole.strings == partial.strings);
    assert!(lost("sites") || whole.sites == partial.sites);
    assert!(lost("lifetimes") || whole.lifetimes == partial.lifetimes);
    assert!(lost("tasks") || whole.tasks == partial.tasks);
    assert!(lost("ends") || whole.ends == partial.ends);
    assert!(lost("poll_times") || whole.poll_times == partial.poll_times);
    assert!(lost("poll_delays") || whole.poll_delays == partial.poll_delays);
    assert!(lost("zombies") || whole.zombies == partial.zombies);
    assert!(lost("parked") || whole.parked == partial.parked);
    assert!(lost("threads") || whole.threads == partial.threads);
    let stacks = ["stacks", "frames", "names", "modules"];
    assert!(stacks.into_iter().any(lost) || whole.stacks == partial.stacks);
    let heap = ["samples", "stacks", "frames", "stack_totals", "stack_ages", "site_totals", "site_ages"];
    assert!(heap.into_iter().any(lost) || whole.heap == partial.heap);
    assert_eq!(partial.heap.is_none(), ["samples", "stacks", "frames"].into_iter().any(lost));
}

#[test]
fn a_file_cut_at_any_kib_is_read_as_far_as_it_goes() {
    let whole = iothub::service(8_000, 2_000);
    let file = write(&whole);
    assert!(file.len() > 64 * 1024, "too small to be realistic");
    for end in (0..file.len()).step_by(1024) {
        match notice(&file[..end]) {
            Ok((partial, damage)) => {
                check_rest(&whole, &partial, &damage);
                let cut = format!(
                    "file at byte {end}: the file has {end} bytes and was written with {}",
                    file.len()
                );
                assert_eq!(damage[0].to_string(), cut);
            }
            Err(error) => {
                assert!(
                    matches!(error, ReadError::Truncated { offset, .. } if offset == end as u64),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_file_cut_in_the_header_or_the_facts_is_named_truncated() {
    let file = write(&iothub::service(10, 10));
    let facts = &places(&file)[0];
    let (header, facts_end) = (facts.offset, facts.offset + facts.stored);
    for end in 0..facts_end {
        let section = if end < header { "header" } else { "facts" };
        match read(&file[..end]) {
            Err(ReadError::Truncated { section: named, offset, needs }) => {
                assert_eq!((named, offset), (section, end as u64));
                assert!(needs > offset);
            }
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    assert!(read(&file[..facts_end]).is_ok());
}

#[test]
fn a_bit_flipped_in_the_header_is_an_error() {
    let mut file = write(&iothub::service(10, 10));
    for bit in 0..places(&file)[0].offset * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        let error = read(&file).expect_err("nothing can be trusted").to_string();
        assert!(error.starts_with("header at byte "), "{error}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_bit_flipped_in_a_section_costs_that_section_and_is_named() {
    let whole = iothub::service(2_000, 600);
    let mut file = write(&whole);
    let mut random = SplitMix(1);
    for Place { name, offset, stored, .. } in places(&file) {
        for _ in 0..24 {
            let at = offset + random.below(stored as u64) as usize;
            let bit = 1 << random.below(8);
            file[at] ^= bit;
            let place = format!("{name} at byte {offset}: its digest does not match");
            let noticed = notice(&file);
            let of_facts = read_facts(&file).map(|(_, damage)| damage);
            assert_eq!(of_facts, noticed.as_ref().map(|(_, damage)| damage.clone()).map_err(Clone::clone));
            match noticed {
                Ok((partial, damage)) => {
                    check_rest(&whole, &partial, &damage);
                    assert_eq!(damage.iter().map(Damage::to_string).collect::<Vec<_>>(), [place]);
                }
                Err(error) => assert!(name == "facts" && error.to_string().starts_with(&place), "{error}"),
            }
            file[at] ^= bit;
        }
    }
    let (facts, _) = read_facts(&file).expect("whole");
    assert_eq!((&facts.process, &facts.capture, facts.live_tasks()), (&whole.process, &whole.capture, 0));
    assert_eq!(read(&file), Ok((whole, vec![])));
}

#[test]
fn bytes_behind_the_end_are_noticed() {
    let whole = iothub::service(5, 5);
    let mut file = write(&whole);
    let end = file.len();
    file.extend(b"tail");
    let (read, damage) = read(&file).expect("all of it is there");
    assert_eq!(read, whole);
    assert_eq!((damage[0].section, damage[0].offset, damage.len()), ("file", end as u64, 1));
}

#[test]
fn a_transfer_in_text_mode_is_recognised() {
    let file = write(&iothub::service(5, 5));
    let unix_to_dos: Vec<u8> =
        file.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] }).collect();
    let dos_to_unix: Vec<u8> = file.iter().copied().filter(|&byte| byte != b'\r').collect();
    let seven_bits: Vec<u8> = file.iter().map(|byte| byte & 0x7f).collect();
    for (bytes, offset) in [(unix_to_dos, 5), (dos_to_unix, 4), (seven_bits, 0)] {
        assert_eq!(read(&bytes), Err(ReadError::TextMode { offset }));
    }
    assert_eq!(read(b"\x7fELF and the rest of it"), Err(ReadError::NotASnapshot));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(read(&bytes).is_err());
    }

    /// Behind right digests the decoders see the bytes themselves.
    #[test]
    fn arbitrary_sections_never_panic(
        section in 0usize..16,
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
    ) {
        let mut forge = forge::Forge::open(&write(&iothub::service(20, 20)));
        let raw = &mut forge.sections[section].1;
        let start = at.index(raw.len());
        let end = raw.len().min(start + bytes.len());
        raw.splice(start..end, bytes);
        if let Ok((snapshot, damage)) = read(&forge.file()) && damage.is_empty() {
            prop_assert_eq!(read(&write(&snapshot)), Ok((snapshot, vec![])));
        }
    }
}

#[test]
fn the_header_has_the_size_that_the_tests_assume() {
    let file = write(&Snapshot::default());
    let places = places(&file);
    assert_eq!(places[0].offset, HEADER_BYTES + places.len() * ENTRY_BYTES + 8);
}
