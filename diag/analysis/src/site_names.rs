//! Names of recorded tasks: the type of the spawned future without what is known to stand around it.
//!
//! `tokio::spawn(work().instrument(span))` spawns an `Instrumented<..>`, which every other such place does as well.

use diag_snapshot::{SiteRow, Snapshot};

use crate::future_name::unwrapped;

/// The snapshot with such a name for each of its sites.
pub(crate) fn named(mut snapshot: Snapshot) -> Snapshot {
    let strings = &mut snapshot.strings;
    let name = |site: &SiteRow| unwrapped(strings.show(site.type_name)).map(str::to_owned);
    let names: Vec<Option<String>> = snapshot.sites.iter().map(|site| name(&site)).collect();
    if names.iter().flatten().next().is_none() {
        return snapshot;
    }
    let mut row = |(site, name): (SiteRow, &Option<String>)| SiteRow {
        type_name: name.as_ref().map_or(site.type_name, |name| strings.intern(name)),
        ..site
    };
    snapshot.sites = snapshot.sites.iter().zip(&names).map(&mut row).collect();
    snapshot
}

#[cfg(test)]
mod tests {
    use diag_snapshot::SiteIndex;

    use super::*;

    #[test]
    fn what_is_wrapped_gives_the_name() {
        let mut snapshot = Snapshot::default();
        let types = [
            "shop::work::{{closure}}",
            "tracing::instrument::Instrumented<shop::work::{{closure}}>",
            "core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future<Output = ()>>>",
            "shop::Pinned<core::pin::Pin<u8>>",
        ];
        for name in types {
            let type_name = snapshot.strings.intern(name);
            snapshot.sites.push(SiteRow { type_name, ..SiteRow::default() });
        }
        let snapshot = named(snapshot);
        let names: Vec<_> = (0..4).map(|site| snapshot.site_name(SiteIndex(site)).to_owned()).collect();
        assert_eq!(names, ["shop::work", "shop::work", types[2], types[3]]);
    }
}
