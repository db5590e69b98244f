//! The text of `/proc/PID/maps`.

use super::{Region, RegionAccess, RegionKind};

/// The regions that it tells, without pages. Lines that are none are left out.
pub fn parse_maps(text: &str) -> Vec<Region> {
    text.lines().filter_map(region).collect()
}

fn region(line: &str) -> Option<Region> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).ok());
    let (access, rest) = rest.split_once(' ')?;
    let has = |letter| access.contains(letter);
    // Offset, device, inode; then blanks, and the name to the end of the line.
    let name = rest.splitn(4, ' ').nth(3).unwrap_or_default().trim_start();
    let kind = match name {
        "" => RegionKind::Anonymous,
        "[heap]" => RegionKind::Heap,
        "[stack]" => RegionKind::Stack,
        named if named.starts_with("[anon:") => RegionKind::Anonymous,
        kernel if kernel.starts_with('[') => RegionKind::Kernel(kernel.to_owned()),
        path => RegionKind::File(path.to_owned()),
    };
    let access = RegionAccess { read: has('r'), write: has('w'), execute: has('x') };
    Some(Region {
        start: start?,
        end: end.filter(|end| Some(*end) > start)?,
        kind,
        access,
        pages: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_region() {
        let text = "55e0-55f0 r-xp 00001000 fe:00 123   /usr/bin/a b\n\
            55f0-5600 rw-p 00000000 00:00 0\n\
            5600-5700 rwxp 00000000 00:00 0 \n\
            5700-5800 rw-p 00000000 00:00 0                    [heap]\n\
            7f00-7f10 rw-p 00000000 00:00 0                    [anon: glibc: malloc arena]\n\
            7fff-8000 r-xp 00000000 00:00 0                    [vdso]\n\
            no line\nzz-5 r-xp 0 0 0\n9-5 r-xp 0 0 0\n";
        let labels: Vec<_> = parse_maps(text).iter().map(Region::label).collect();
        assert_eq!(labels, ["file-rx", "anon-rw", "anon-rwx", "heap", "anon-rw", "kernel"]);
        let first = &parse_maps(text)[0];
        assert_eq!((first.file(), first.bytes()), (Some("/usr/bin/a b"), 0x10));
    }
}
