//! The rule by which a block is the shared part of a channel, and what is counted there.

use super::address_map::Place;
use super::rules::{BlockWords, Context, LARGEST};
use crate::core_layout::{Column, column};

/// How the shared part of a channel is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChannelRule {
    /// With and without a bound.
    pub(super) forms: [ChannelForm; 2],
    /// Where the address of the last block of messages is, and behind it the number of messages so far.
    pub(super) tail: usize,
}

/// How one kind of channel is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelForm {
    pub(super) size: usize,
    /// Where the number of messages is that were received, of the senders, and of the weak ones.
    pub(super) received: usize,
    pub(super) senders: usize,
    pub(super) weak_senders: usize,
}

/// What a reader of cores is told of a form.
pub(crate) const CHANNEL_FORM: &[Column] = &[
    column!(ChannelForm, "size", size),
    column!(ChannelForm, "received", received),
    column!(ChannelForm, "senders", senders),
    column!(ChannelForm, "weak_senders", weak_senders),
];
pub(crate) const FORM_BYTES: usize = size_of::<ChannelForm>();

/// What the shared part of a channel says of it, as far as it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelFacts {
    /// Messages sent so far, and one more once the last sender has gone.
    sent: Option<u64>,
    /// Messages received.
    received: Option<u64>,
    pub(crate) senders: Option<u64>,
    pub(crate) has_receiver: Option<bool>,
}

impl ChannelFacts {
    /// Messages sent so far.
    pub(crate) fn sent(self) -> Option<u64> {
        self.sent.zip(self.senders).map(|(sent, senders)| sent.saturating_sub(u64::from(senders == 0)))
    }

    /// Messages that are in it.
    pub(crate) fn queued(self) -> Option<u64> {
        self.sent().zip(self.received).map(|(sent, received)| sent.saturating_sub(received))
    }
}

impl ChannelRule {
    pub(super) fn is_of_size(&self, size: usize) -> bool {
        self.forms.iter().any(|form| form.size == size)
    }

    /// What it says if it is a channel.
    pub(super) fn facts(&self, look: &impl BlockWords, context: &Context) -> Option<ChannelFacts> {
        let block = look.block();
        if block.layout.align() != 128 || !self.is_of_size(block.layout.size()) {
            return None;
        }
        let (handles, weak, last) = (look.word(0)?, look.word(8)?, look.word(self.tail)?);
        // Received before sent: what is sent in between makes no queue below 0.
        let read = self
            .forms
            .map(|form| (form.size == block.layout.size()).then(|| form.facts(look, handles)).flatten());
        let sent = look.word(self.tail + 8)?;
        let is_channel = (1..LARGEST).contains(&handles)
            && weak == 1
            && last.is_multiple_of(8)
            && context.place(last) == Some(Place::Writable)
            && sent < LARGEST;
        is_channel.then(|| match read {
            [Some(facts), None] | [None, Some(facts)] => ChannelFacts { sent: Some(sent), ..facts },
            // Both kinds may be of one size, and what neither writes may hold anything.
            [Some(one), Some(other)] if one == other => ChannelFacts { sent: Some(sent), ..one },
            _ => ChannelFacts { sent: Some(sent), ..ChannelFacts::default() },
        })
    }
}

impl ChannelForm {
    /// What is counted in a channel of this form with so many handles; `None` if it does not add up, as in one of another.
    fn facts(&self, look: &impl BlockWords, handles: u64) -> Option<ChannelFacts> {
        let [received, senders, weak_senders] =
            [self.received, self.senders, self.weak_senders].map(|offset| look.word(offset));
        let (received, senders) = (received?, senders?);
        let receivers = handles.checked_sub(senders.checked_add(weak_senders?)?)?;
        (receivers <= 1 && received < LARGEST).then_some(ChannelFacts {
            sent: None,
            received: Some(received),
            senders: Some(senders),
            has_receiver: Some(receivers == 1),
        })
    }
}
