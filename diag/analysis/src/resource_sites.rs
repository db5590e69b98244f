//! Places in the code where sockets and channels were opened.
//!
//! A file has call stacks. The place is the innermost function of the service in one; where there is none, that of the task
//! that opened, or a line of a library. Sites of one kind and place are one.

use diag_snapshot::{ResourceSiteIndex, ResourceSiteRow, Snapshot};

use crate::each_once::each_once;
use crate::maker_stack::{MakerLine, MakerStack, named_stacks};

/// The snapshot with a place for each of these sites, and each place once. Tasks have theirs already.
pub(crate) fn placed(mut snapshot: Snapshot) -> Snapshot {
    if snapshot.resource_sites.is_empty() {
        return snapshot;
    }
    let mut sites: Vec<ResourceSiteRow> = snapshot.resource_sites.iter().collect();
    let named = named_stacks(&snapshot, sites.iter().filter_map(|site| site.stack));
    // A place that was found before stays.
    for site in sites.iter_mut().filter(|site| site.file.is_none()) {
        let MakerStack { own, library, .. } = MakerStack::of(&named, site.stack);
        let opener = site.opener.and_then(|opener| snapshot.sites.get(opener.0 as usize));
        match (own, opener, library) {
            (Some(line), _, _) | (None, None, Some(line)) => {
                let MakerLine { file, line, function } = line;
                site.file = Some(snapshot.strings.intern(&file));
                site.function = Some(function.as_str())
                    .filter(|name| !is_closure(name))
                    .map(|name| snapshot.strings.intern(name));
                site.line = Some(line);
            }
            (None, Some(opener), _) => {
                (site.file, site.line) = (Some(opener.file), Some(opener.line));
                site.function = Some(opener.type_name);
            }
            // The stack was not taken, or the snapshot is to have none.
            (None, None, None) => {}
        }
    }
    let key = |site: &ResourceSiteRow| Some((site.kind, site.name, site.file, site.line, site.function));
    let (sites, to) = each_once(sites, key, |first, site| {
        first.opened = first.opened.saturating_add(site.opened);
        first.closed = first.closed.saturating_add(site.closed);
        first.opener = first.opener.or(site.opener);
    });
    snapshot.resource_sites = sites.into_iter().collect();
    snapshot.reindex_resource_sites(&to.into_iter().map(ResourceSiteIndex).collect::<Vec<_>>());
    snapshot
}

/// True of a name that says nothing but what it is.
fn is_closure(name: &str) -> bool {
    name.split("::").all(|part| part == "{{closure}}")
}

#[cfg(test)]
mod tests {
    use diag_snapshot::{ResourceKind, ResourceRow, SiteIndex, SiteRow, StringIndex};
    use diag_test_support::call_stack::{Call, call_stack};

    use super::*;

    /// The innermost of a stack comes first.
    const REGISTER: Call<'_> = (
        "tokio::runtime::io::scheduled_io::new",
        Some(("/r/registry/src/i/tokio-1.54.1/src/runtime/io/scheduled_io.rs", 190)),
    );
    const CONNECT: Call<'_> = (
        "hyper_util::client::legacy::connect::http::connect",
        Some(("/r/registry/src/i/hyper-util-0.1.21/src/client/legacy/connect/http.rs", 500)),
    );
    const OWN: Call<'_> = ("shop::cart::open", Some(("src/cart.rs", 12)));

    #[derive(Default)]
    struct Service(Snapshot);

    impl Service {
        fn site(&mut self, kind: ResourceKind, calls: &[Call<'_>], opener: Option<u32>) {
            let stack = (!calls.is_empty()).then(|| call_stack(&mut self.0, calls.iter().copied()));
            let (opener, opened, closed) = (opener.map(SiteIndex), 3, 1);
            let row = ResourceSiteRow { kind, stack, opener, opened, closed, ..ResourceSiteRow::default() };
            self.0.resource_sites.push(row);
        }
    }

    #[test]
    fn the_place_is_the_innermost_own_line_or_that_of_the_opener() {
        let mut service = Service::default();
        let [_, file, type_name] = ["", "src/hub.rs", "hub::run"].map(|name| service.0.strings.intern(name));
        service.0.sites.push(SiteRow { file, line: 7, type_name, ..SiteRow::default() });
        service.site(ResourceKind::Socket, &[REGISTER, CONNECT, OWN], Some(0));
        service.site(ResourceKind::Socket, &[REGISTER, CONNECT], Some(0));
        service.site(ResourceKind::Channel, &[REGISTER, OWN], None);
        service.site(ResourceKind::Socket, &[REGISTER, CONNECT], None);
        service.site(ResourceKind::Socket, &[], None);
        service.site(ResourceKind::Socket, &[CONNECT, OWN], None);
        let last = ResourceSiteIndex(5);
        service.0.resources.push(ResourceRow { id: 1, site: last, ..ResourceRow::default() });
        let snapshot = placed(service.0);
        let text = |row: ResourceSiteRow| {
            let show = |name: Option<StringIndex>| name.map_or("?", |name| snapshot.strings.show(name));
            let (file, function, line) = (show(row.file), show(row.function), row.line.unwrap_or(0));
            format!("{} {file}:{line} {function} {}-{}", row.kind.as_str(), row.opened, row.closed)
        };
        let sites: Vec<String> = snapshot.resource_sites.iter().map(text).collect();
        let expected = [
            "socket src/cart.rs:12 shop::cart::open 6-2",
            "socket src/hub.rs:7 hub::run 3-1",
            "channel src/cart.rs:12 shop::cart::open 3-1",
            "socket hyper-util-0.1.21/src/client/legacy/connect/http.rs:500 \
             hyper_util::client::legacy::connect::http::connect 3-1",
            "socket ?:0 ? 3-1",
        ];
        assert_eq!(sites, expected);
        assert_eq!(snapshot.resources.get(0).map(|row| row.site), Some(ResourceSiteIndex(0)));
    }
}
