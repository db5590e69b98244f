//! How long tasks wait for a resource: the pressure stall information of the system, or of a control group.

use diag_snapshot::Pressure;

/// From the text of `/proc/pressure/cpu`, of a group's `cpu.pressure` and the like.
pub(super) fn parse(of: &str, source: &str, text: &str) -> Option<Pressure> {
    let line = |kind| text.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    let value = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let some = line("some")?;
    Some(Pressure {
        of: of.to_owned(),
        some_ppm: ppm(&value(some, "avg10")?)?,
        some_us: value(some, "total")?.trim().parse().ok()?,
        full_ppm: line("full").and_then(|full| ppm(&value(full, "avg10")?)),
        source: source.to_owned(),
    })
}

/// The first of these numbers alone. Allocates nothing.
pub(super) fn some_ppm(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    ppm(line.split(' ').find_map(|field| field.strip_prefix("avg10="))?)
}

/// Of a percentage with two decimals.
fn ppm(percent: &str) -> Option<u64> {
    let (whole, hundredths) = percent.split_once('.')?;
    let hundredths = hundredths.parse::<u64>().ok().filter(|_| hundredths.len() == 2)?;
    whole.parse::<u64>().ok()?.checked_mul(10_000)?.checked_add(hundredths * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read() {
        let text = "some avg10=75.16 avg60=62.03 avg300=52.82 total=6313909107\n\
                    full avg10=0.05 avg60=0.00 avg300=0.00 total=3565656\n";
        let expected = Pressure {
            of: "memory".to_owned(),
            some_ppm: 751_600,
            some_us: 6_313_909_107,
            full_ppm: Some(500),
            source: "/proc/pressure/memory".to_owned(),
        };
        assert_eq!(parse("memory", "/proc/pressure/memory", text), Some(expected));
        assert_eq!(some_ppm(text), Some(751_600));
        let some = text.lines().next().expect("two lines");
        assert_eq!(parse("cpu", "", some).map(|pressure| pressure.full_ppm), Some(None));
        for damaged in
            ["", "some", "some avg10=1 total=2", "some avg10=1.005 total=2", "some avg10=1.00 total=x"]
        {
            assert_eq!(parse("cpu", "", damaged), None, "{damaged}");
        }
    }
}
