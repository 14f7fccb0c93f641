//! The records of a batch that have no event time: which of them stand before a row.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::model::Reject;

/// They leave one by one, in their order.
pub(super) struct Others {
    rejects: Peekable<IntoIter<Reject>>,
    dropped: Peekable<IntoIter<u64>>,
    /// Offset of the next one; few batches have any, and rows before it need no further look.
    next: Option<u64>,
}

/// One of them.
pub(super) enum Other {
    /// It could not be used.
    Reject(Reject),
    /// A hook dropped it.
    Dropped,
}

impl Others {
    pub(super) fn new(rejects: Vec<Reject>, dropped: Vec<u64>) -> Others {
        let mut others =
            Others { rejects: rejects.into_iter().peekable(), dropped: dropped.into_iter().peekable(), next: None };
        others.look();
        others
    }

    /// The next one that stands before an offset.
    #[inline]
    pub(super) fn before(&mut self, offset: u64) -> Option<Other> {
        if self.next.is_none_or(|next| next >= offset) { None } else { self.pop() }
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Other> {
        let is_next = |offset: u64| self.next == Some(offset);
        let reject = self.rejects.next_if(|reject| is_next(reject.offset)).map(Other::Reject);
        let other = reject.or_else(|| self.dropped.next().map(|_| Other::Dropped));
        self.look();
        other
    }

    /// The next one that could not be used.
    pub(super) fn reject(&mut self) -> Option<&Reject> {
        self.rejects.peek()
    }

    fn look(&mut self) {
        let reject = self.rejects.peek().map(|reject| reject.offset);
        self.next = [reject, self.dropped.peek().copied()].into_iter().flatten().min();
    }
}
