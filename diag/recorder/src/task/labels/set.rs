//! The labels of a task, shared with the tasks that have the same, and never changed.
//!
//! A chain of labels, the innermost first, each with the rest behind it: a label more on top of others copies none of them,
//! and a task that inherits them takes a reference. A task's name is a link on top that is not handed on. No key is twice
//! in a chain, so it never gets long. A link is 16 bytes and its text.
//!
//! A task that is polled in a span has one more link, on top of its name: it refers to the chain of the span, which all tasks
//! of that share, and the task's own stays behind it as it is.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt::Display;
use std::iter::successors;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::keys::Key;
use super::value::{Value, start_of};
use crate::core_layout::{Column, column};
use crate::dropped::Dropped;

/// Labels that one task can have.
const MAX_LABELS: usize = 8;
/// What all labels together may take: 262,144 short ones.
const MAX_BYTES: u64 = 16 << 20;
/// What a short one counts for.
const LEAST_BYTES: usize = 64;
/// Bytes of a name that are kept.
const MAX_NAME: usize = u16::MAX as usize;
/// From so many references on nobody counts any more, and the link stays for ever.
const MANY: u32 = 1 << 31;

/// What the labels of this process take.
static BYTES: AtomicU64 = AtomicU64::new(0);
static FULL: Dropped = Dropped::new(
    "labels_without_room",
    "a label is left out, as all together may take 16 MiB, which is 262,144 short ones",
);
static TOO_MANY: Dropped = Dropped::new("labels_beyond_eight", "a label is left out, as its task has eight");

/// A reference to the innermost link of a chain.
pub(crate) struct Labels(NonNull<Link>);

// SAFETY: links are counted by an atomic, and nothing else in them changes.
unsafe impl Send for Labels {}
// SAFETY: as above.
unsafe impl Sync for Labels {}

/// One label, or a name. Its text follows it in memory.
#[repr(C)]
struct Link {
    rest: Option<Labels>,
    references: AtomicU32,
    key: Key,
    len: u16,
}

const _: () = assert!(size_of::<Link>() == 16);

/// What a reader of cores is told of a link, behind which its text lies.
pub(crate) const COLUMNS: [Column; 3] =
    [column!(Link, "rest", rest), column!(Link, "key", key), column!(Link, "len", len)];
pub(crate) const LINK_BYTES: usize = size_of::<Link>();

impl Labels {
    /// A label more, in the place of one of the same key. What was there if there is no room, which is counted.
    pub(crate) fn with(rest: Option<Labels>, key: &str, value: impl Display) -> Option<Labels> {
        match Key::of(key) {
            Some(key) => Labels::with_label(rest, key, Value::of(value).as_bytes()),
            None => rest,
        }
    }

    fn with_label(rest: Option<Labels>, key: Key, value: &[u8]) -> Option<Labels> {
        let others = rest.as_ref().and_then(|rest| rest.without(key));
        if others.as_ref().is_some_and(|others| others.links().count() >= MAX_LABELS) {
            TOO_MANY.count();
            return rest;
        }
        let label = Labels::new(others, key, value);
        if label.is_none() {
            FULL.count();
        }
        label.or(rest)
    }

    /// A name on top of the labels.
    pub(crate) fn named(rest: Option<Labels>, name: &str) -> Option<Labels> {
        Labels::new(rest, Key::NAME, start_of(name, MAX_NAME).as_bytes())
    }

    /// The labels of the span that a task is polled in, before its own.
    pub(crate) fn in_span(own: Option<Labels>, span: &Labels) -> Option<Labels> {
        let labels = Labels::new(own, Key::SPAN, &[0; size_of::<*mut ()>()])?;
        // SAFETY: `new` made so much room behind the link, which is aligned as a pointer is, and nobody else has seen it.
        unsafe { labels.0.add(1).cast::<*mut ()>().write(span.clone().into_raw()) };
        Some(labels)
    }

    /// These labels over others: those of the same keys are left out.
    pub(crate) fn over(&self, rest: Option<Labels>) -> Labels {
        let keeps_none = |rest: &Labels| rest.links().all(|label| self.has(label.link().key));
        match rest {
            Some(rest) if !keeps_none(&rest) => self.on_top_of(rest),
            _ => self.clone(),
        }
    }

    /// The chain is short, and so is what this calls.
    fn on_top_of(&self, rest: Labels) -> Labels {
        let rest = match &self.link().rest {
            Some(inner) => inner.on_top_of(rest),
            None => rest,
        };
        Labels::with_label(Some(rest), self.link().key, self.text().as_bytes())
            .unwrap_or_else(|| self.clone())
    }

    /// True if a task that has these says what a span with those would have it say.
    pub(crate) fn say(&self, span: &Labels) -> bool {
        match self.of_span() {
            Some(same) => same.0 == span.0,
            None => span.links().all(|label| {
                self.links().any(|own| own.link().key == label.link().key && own.text() == label.text())
            }),
        }
    }

    /// The labels of the span that the task is polled in.
    fn of_span(&self) -> Option<ManuallyDrop<Labels>> {
        if self.link().key != Key::SPAN {
            return None;
        }
        // SAFETY: written by `in_span`, which made the link, and dropped with it.
        unsafe { Labels::from_raw(self.0.add(1).cast::<*mut ()>().read()) }.map(ManuallyDrop::new)
    }

    /// Those that the task was spawned with, and its name.
    pub(crate) fn own(&self) -> Option<&Labels> {
        if self.link().key == Key::SPAN { self.link().rest.as_ref() } else { Some(self) }
    }

    /// The name, if there is one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.own().filter(|own| own.link().key == Key::NAME).map(Labels::text)
    }

    /// Calls a function with keys and values, the innermost first.
    pub(crate) fn each(&self, mut label: impl FnMut(&'static str, &str)) {
        let span = self.of_span();
        if let Some(span) = &span {
            span.links().for_each(|inner| label(inner.link().key.text(), inner.text()));
        }
        let is_label = |own: &&Labels| {
            let key = own.link().key;
            key != Key::NAME && !span.as_ref().is_some_and(|span| span.has(key))
        };
        let own = self.own().into_iter().flat_map(Labels::links).filter(is_label);
        own.for_each(|own| label(own.link().key.text(), own.text()));
    }

    /// The value of this key.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let mut found = None;
        self.each(|other, value| {
            if other == key && found.is_none() {
                found = Some(value.to_owned());
            }
        });
        found
    }

    fn has(&self, key: Key) -> bool {
        self.links().any(|label| label.link().key == key)
    }

    /// True if there is more than a name.
    pub(crate) fn has_labels(&self) -> bool {
        self.link().key != Key::NAME || self.link().rest.is_some()
    }

    /// What whatever is spawned inside of the task takes: all but the name.
    pub(super) fn of_children(&self) -> Option<Labels> {
        match self.own() {
            Some(own) if own.link().key == Key::NAME => own.link().rest.clone(),
            own => own.cloned(),
        }
    }

    /// The pointer, which owns the reference.
    pub(crate) fn into_raw(self) -> *mut () {
        let raw = self.as_raw();
        std::mem::forget(self);
        raw
    }

    /// The pointer, as long as `self` lives.
    pub(super) fn as_raw(&self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// The reverse of [`into_raw`](Labels::into_raw); `None` for a null pointer.
    ///
    /// # Safety
    /// The pointer is of `into_raw`, once, or of `as_raw` and the result is never dropped.
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Option<Labels> {
        NonNull::new(raw.cast()).map(Labels)
    }

    /// The labels without that of `key`.
    fn without(&self, key: Key) -> Option<Labels> {
        let link = self.link();
        if link.key == key {
            return link.rest.clone();
        }
        if !self.has(key) {
            return Some(self.clone());
        }
        let rest = link.rest.as_ref().and_then(|rest| rest.without(key));
        match Labels::new(rest, link.key, self.text().as_bytes()) {
            None => {
                FULL.count();
                link.rest.clone()
            }
            copy => copy,
        }
    }

    /// A link on top of `rest`. `None` if there is no room; then `rest` is gone.
    fn new(rest: Option<Labels>, key: Key, text: &[u8]) -> Option<Labels> {
        if !take_room(counted_bytes(key, text.len())) {
            return None;
        }
        let layout = layout(text.len());
        // SAFETY: the layout is not of size 0.
        let Some(link) = NonNull::new(unsafe { alloc(layout) }.cast::<Link>()) else {
            handle_alloc_error(layout)
        };
        // SAFETY: so many bytes are ours: a link, and behind it the text, of which `with` and `named` take no more than
        // `len` can say.
        unsafe {
            link.write(Link { rest, references: AtomicU32::new(1), key, len: text.len() as u16 });
            link.add(1).cast::<u8>().copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        }
        Some(Labels(link))
    }

    fn link(&self) -> &Link {
        // SAFETY: whole since `new`, and there as long as there is a reference.
        unsafe { self.0.as_ref() }
    }

    fn text(&self) -> &str {
        // SAFETY: `new` wrote so many bytes behind the link, of a `str` that its callers cut between characters.
        unsafe {
            let text = std::slice::from_raw_parts(self.0.add(1).cast().as_ptr(), self.link().len.into());
            str::from_utf8_unchecked(text)
        }
    }

    /// This link and those behind it.
    fn links(&self) -> impl Iterator<Item = &Labels> {
        successors(Some(self), |label| label.link().rest.as_ref())
    }
}

impl Clone for Labels {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed, as in `Arc`: who clones has a reference.
        if self.link().references.fetch_add(1, Ordering::Relaxed) >= MANY {
            self.link().references.store(MANY, Ordering::Relaxed);
        }
        Labels(self.0)
    }
}

impl Drop for Labels {
    fn drop(&mut self) {
        let references = &self.link().references;
        // AcqRel, as in `Arc`: whoever is last sees that the others are done.
        if references.load(Ordering::Relaxed) >= MANY || references.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        drop(self.of_span().map(ManuallyDrop::into_inner));
        let (key, len) = (self.link().key, self.link().len.into());
        BYTES.fetch_sub(counted_bytes(key, len), Ordering::Relaxed);
        // SAFETY: this was the last reference. The chain behind it is short, as no key is in it twice.
        unsafe {
            self.0.drop_in_place();
            dealloc(self.0.as_ptr().cast(), layout(len));
        }
    }
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        self.each(|key, value| {
            map.entry(&key, &value);
        });
        map.finish()
    }
}

/// False, and nothing is taken, if there is no room for so many bytes more.
fn take_room(bytes: u64) -> bool {
    // Relaxed: a count by itself.
    let fits = bytes == 0 || BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_BYTES;
    if !fits {
        BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
    fits
}

/// What a link counts for. A name does not, nor does the link to the labels of a span: a task has one at the most.
fn counted_bytes(key: Key, len: usize) -> u64 {
    let counts = ![Key::NAME, Key::SPAN].contains(&key);
    if counts { layout(len).size().max(LEAST_BYTES) as u64 } else { 0 }
}

fn layout(len: usize) -> Layout {
    let bytes = size_of::<Link>() + len;
    // SAFETY: a power of two, and a size that does not come near the end of the range.
    unsafe { Layout::from_size_align_unchecked(bytes, align_of::<Link>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Option<Labels> {
        pairs.iter().fold(None, |rest, &(key, value)| Labels::with(rest, key, value))
    }

    fn text(labels: &Option<Labels>) -> String {
        let mut text = String::new();
        labels.iter().for_each(|labels| labels.each(|key, value| text += &format!("{key}={value} ")));
        text
    }

    #[test]
    fn a_label_replaces_one_of_its_key() {
        let outer = labels(&[("device", "17"), ("tenant", "acme"), ("request", "a")]);
        assert_eq!(text(&outer), "request=a tenant=acme device=17 ");
        assert_eq!(text(&Labels::with(outer.clone(), "request", "b")), "request=b tenant=acme device=17 ");
        assert_eq!(text(&Labels::with(outer.clone(), "device", 18)), "device=18 request=a tenant=acme ");
        assert_eq!(text(&outer), "request=a tenant=acme device=17 ", "others have it too");
    }

    #[test]
    fn a_name_is_not_handed_on() {
        let task = Labels::named(labels(&[("device", "17")]), "session").expect("room");
        assert_eq!((task.name(), text(&Some(task.clone())).as_str()), (Some("session"), "device=17 "));
        let child = task.of_children();
        assert_eq!((child.as_ref().and_then(Labels::name), text(&child).as_str()), (None, "device=17 "));
        let named = Labels::named(None, &"n".repeat(1 << 20)).expect("room");
        assert_eq!((named.name().map(str::len), named.has_labels()), (Some(MAX_NAME), false));
        assert!(named.of_children().is_none() && task.has_labels());
    }

    #[test]
    fn a_task_has_eight() {
        let many = (0..9).fold(None, |rest, n| Labels::with(rest, &format!("k{n}"), n));
        assert_eq!(text(&many), "k7=7 k6=6 k5=5 k4=4 k3=3 k2=2 k1=1 k0=0 ");
        assert_eq!(TOO_MANY.times(), 1);
    }

    #[test]
    fn labels_of_a_span_are_over_those_of_the_task() {
        let own = Labels::named(labels(&[("device", "17"), ("request", "a")]), "session");
        let span = labels(&[("trace", "t"), ("request", "b")]).expect("room");
        let task = Labels::in_span(own.clone(), &span).expect("room");
        assert_eq!(text(&Some(task.clone())), "request=b trace=t device=17 ");
        assert_eq!((task.name(), task.get("request").as_deref()), (Some("session"), Some("b")));
        assert_eq!(
            text(&task.of_children()),
            "request=a device=17 ",
            "the span is not handed on by the task"
        );
        assert!(task.say(&span) && !own.as_ref().is_some_and(|own| own.say(&span)));
        assert!(task.own().is_some_and(|own| own.say(&labels(&[("request", "a")]).expect("room"))));
        let bare = Labels::in_span(None, &span).expect("room");
        assert_eq!((text(&Some(bare.clone())).as_str(), bare.name()), ("request=b trace=t ", None));
        assert!(bare.of_children().is_none());
        let references = || span.link().references.load(Ordering::Relaxed);
        assert_eq!(references(), 3);
        drop((bare, task));
        assert_eq!(references(), 1);
    }

    #[test]
    fn labels_are_put_on_top_of_others() {
        let over = labels(&[("trace", "t"), ("request", "b")]).expect("room");
        let on = |rest: &[(&str, &str)]| over.over(labels(rest));
        assert_eq!(text(&Some(on(&[("device", "17"), ("request", "a")]))), "request=b trace=t device=17 ");
        let shared = on(&[("request", "a"), ("trace", "s")]);
        assert!(shared.0 == over.0 && on(&[]).0 == over.0, "nothing is copied");
    }

    #[test]
    fn links_go_with_the_last_reference() {
        let one = labels(&[("device", "17")]).expect("room");
        let (two, three) = (one.clone(), Labels::named(Some(one.clone()), "n"));
        let references = || one.link().references.load(Ordering::Relaxed);
        assert_eq!(references(), 3);
        drop(three);
        assert_eq!(references(), 2);
        drop(two);
        assert_eq!(references(), 1);
    }
}
