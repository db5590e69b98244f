//! What a file descriptor stands for, as the link to it says.

use diag_snapshot::DescriptorKind;

/// From the target of the link.
pub(super) fn kind(target: &str) -> DescriptorKind {
    if target.starts_with("/memfd:") {
        return DescriptorKind::Memfd;
    }
    if target.starts_with('/') {
        return DescriptorKind::File;
    }
    match target.split_once(':') {
        Some(("socket", _)) => DescriptorKind::Socket,
        Some(("pipe", _)) => DescriptorKind::Pipe,
        // The kernel puts some of these names into brackets and some not.
        Some(("anon_inode", name)) => match name.trim_matches(['[', ']']) {
            "eventfd" => DescriptorKind::Eventfd,
            "eventpoll" => DescriptorKind::Eventpoll,
            "timerfd" => DescriptorKind::Timerfd,
            "inotify" => DescriptorKind::Inotify,
            _ => DescriptorKind::Other,
        },
        _ => DescriptorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told() {
        let kinds = [
            ("/var/log/a: b", DescriptorKind::File),
            ("/dev/null", DescriptorKind::File),
            ("/tmp/x (deleted)", DescriptorKind::File),
            ("/memfd:ring (deleted)", DescriptorKind::Memfd),
            ("socket:[53812]", DescriptorKind::Socket),
            ("pipe:[53813]", DescriptorKind::Pipe),
            ("anon_inode:[eventfd]", DescriptorKind::Eventfd),
            ("anon_inode:[eventpoll]", DescriptorKind::Eventpoll),
            ("anon_inode:[timerfd]", DescriptorKind::Timerfd),
            ("anon_inode:inotify", DescriptorKind::Inotify),
            ("anon_inode:[io_uring]", DescriptorKind::Other),
            ("net:[4026531840]", DescriptorKind::Other),
            ("", DescriptorKind::Other),
        ];
        for (target, expected) in kinds {
            assert_eq!(kind(target), expected, "{target}");
        }
    }
}
