//! Any bytes as one unpacked section of an otherwise whole file, its digest right: the way past the
//! digests, behind which `read` would not be let by any mutation.
#![no_main]

use std::sync::LazyLock;

use diag_analysis::dump::dump;
use diag_snapshot::{read, write};
use diag_test_support::forge::Forge;
use libfuzzer_sys::fuzz_target;

static WHOLE: LazyLock<Forge> =
    LazyLock::new(|| Forge::open(include_bytes!("../../../../testdata/snapshots/v1.1.diag")));

fuzz_target!(|input: &[u8]| {
    let Some((&section, raw)) = input.split_first() else { return };
    let mut forge = WHOLE.clone();
    let section = usize::from(section) % forge.sections.len();
    forge.sections[section].1 = raw.to_vec();
    let Ok((snapshot, damage)) = read(&forge.file()) else { return };
    if damage.is_empty() {
        assert_eq!(read(&write(&snapshot)), Ok((snapshot.clone(), vec![])));
    }
    dump(&snapshot.into());
});
