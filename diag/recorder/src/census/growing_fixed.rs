//! Takes the place of `growing.rs` under loom, whose atomics are no words of zeros: an array of few, all usable at once.

/// See `growing.rs`.
pub(super) struct Growing<T: 'static>(&'static [T]);

impl<T> Growing<T> {
    pub(super) fn of(len: usize, new: impl Fn() -> T) -> Self {
        Growing(Box::leak((0..len).map(|_| new()).collect()))
    }

    pub(super) fn get(&self, at: usize) -> Option<&'static T> {
        self.0.get(at)
    }

    pub(super) fn reach(&self, at: usize) -> Option<&'static T> {
        self.get(at)
    }
}
