//! What is registered with an epoll, as the file says that tells of its descriptor.

/// A descriptor that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) descriptor: u32,
    /// What whoever registered it gets told with each event.
    pub(crate) data: u64,
}

/// The registrations in the text; lines that tell of something else are none.
pub(super) fn registered(text: &str) -> Vec<Registered> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Registered> {
    let mut words = line.strip_prefix("tfd:")?.split_ascii_whitespace();
    let descriptor = words.next()?.parse().ok()?;
    let data = words.skip_while(|word| *word != "data:").nth(1)?;
    Some(Registered { descriptor, data: u64::from_str_radix(data, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_descriptor_is_told_with_its_data() {
        let text = "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1061\n\
            tfd:        7 events: 80000019 data:                0  pos:0 ino:425 sdev:f\n\
            tfd:       12 events: 8000201d data:     7f04b4001e80  pos:0 ino:1b2f sdev:9\n";
        let registered = |descriptor, data| Registered { descriptor, data };
        assert_eq!(super::registered(text), [registered(7, 0), registered(12, 0x7f04_b400_1e80)]);
        assert!(super::registered("tfd: x\ntfd: 3 data:\n").is_empty());
    }
}
