//! The records of a chunk, taken apart and put together again. Each keeps the place that it has in the source, and takes
//! at least one byte of the new chunk, if only for a blank line, which is no record: so offsets stay apart and in order.

use std::sync::Arc;

use bytes::Bytes;

use super::Hooked;
use super::wire::Outcome;
use crate::model::{Chunk, Framing, HookFault, Origin, Origins, Places, Position, Reason, Reject};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A record on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Which record of the source it is, or comes from.
    source: usize,
    /// Where that begins.
    place: Position,
    /// How many bytes that has: so many places there are.
    bytes: u64,
    /// Tells what became of one record apart; unique in a chunk, and the same when the record comes again.
    pub(super) id: String,
    /// What the source knows of it besides.
    pub(super) origin: Option<Origin>,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    /// The record without its line end.
    Live(Bytes),
    Dropped,
    /// The record as it was given to whoever could not use it.
    Rejected(Bytes, Reason),
}

/// Takes a chunk apart; blank lines are no records.
pub(super) fn split(chunk: &Chunk, framing: Framing, record_bytes_max: usize) -> Vec<Item> {
    let has_mark = chunk.places == Places::Bytes && chunk.offset == 0 && chunk.bytes.starts_with(BYTE_ORDER_MARK);
    let mut start = if has_mark { BYTE_ORDER_MARK.len() } else { 0 };
    let mut items = Vec::new();
    while start < chunk.bytes.len() {
        let length = framing.first_end(&chunk.bytes[start..], record_bytes_max);
        let end = length.map_or(chunk.bytes.len(), |length| start + length);
        let record = chunk.bytes.slice(start..start + without_line_end(&chunk.bytes[start..end]).len());
        if !is_blank(&record) {
            let place = chunk.places.at(chunk.offset + start as u64);
            let origin = chunk.origins.at(chunk.offset + start as u64).cloned();
            let state = match record.len() > record_bytes_max {
                true => State::Rejected(record, Reason::TooLong(record_bytes_max)),
                false => State::Live(record),
            };
            let id = format!("{}:{place}", chunk.partition);
            items.push(Item { source: items.len(), place, bytes: (end - start) as u64, id, origin, state });
        }
        start = end;
    }
    items
}

fn is_blank(record: &[u8]) -> bool {
    record.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

fn without_line_end(record: &[u8]) -> &[u8] {
    match record {
        [before @ .., b'\r', b'\n'] | [before @ .., b'\n'] => before,
        whole => whole,
    }
}

impl Item {
    /// Where the record of the source begins.
    pub(super) fn place(&self) -> Position {
        self.place
    }

    /// Adds what became of a record.
    pub(super) fn become_all(&self, outcome: Outcome, hook: &Arc<str>, framing: Framing, into: &mut Vec<Item>) {
        let as_is = |state| Item { state, ..self.clone() };
        let fault = |fault| {
            let State::Live(record) = &self.state else { return as_is(self.state.clone()) };
            as_is(State::Rejected(record.clone(), Reason::Hook { hook: Arc::clone(hook), fault }))
        };
        let data = match outcome {
            Outcome::Data(data) => data,
            Outcome::Dropped => return into.push(as_is(State::Dropped)),
            Outcome::Fault(why) => return into.push(fault(why)),
        };
        match lines(data, framing) {
            None => into.push(fault(HookFault::OpenQuote)),
            Some(lines) if lines.is_empty() => into.push(as_is(State::Dropped)),
            Some(lines) if lines.len() as u64 > self.bytes => into.push(fault(HookFault::TooMany(self.bytes))),
            Some(lines) => into.extend(lines.into_iter().enumerate().map(|(at, line)| {
                let id = if at == 0 { self.id.clone() } else { format!("{}.{at}", self.id) };
                Item { id, state: State::Live(line), ..self.clone() }
            })),
        }
    }
}

/// The records in an answer's data; none where the last of them has no end.
fn lines(data: Bytes, framing: Framing) -> Option<Vec<Bytes>> {
    let mut whole = data;
    if whole.last().is_some_and(|last| *last != b'\n') {
        whole = [&whole[..], b"\n"].concat().into();
    }
    let (mut lines, mut start) = (Vec::new(), 0);
    while start < whole.len() {
        let end = start + framing.first_end(&whole[start..], whole.len())?;
        let line = whole.slice(start..start + without_line_end(&whole[start..end]).len());
        if !is_blank(&line) {
            lines.push(line);
        }
        start = end;
    }
    Some(lines)
}

/// Puts records together to the chunk that is decoded, and takes out of them what is not to be.
pub(super) fn assemble(chunk: Chunk, items: Vec<Item>, last: &Arc<str>) -> Hooked {
    let (mut bytes, mut places) = (Vec::with_capacity(chunk.bytes.len()), Vec::with_capacity(items.len()));
    let (mut rejects, mut dropped) = (Vec::new(), Vec::new());
    let mut source: Option<(usize, u64)> = None;
    for item in items {
        let number = source.filter(|(source, _)| *source == item.source).map_or(0, |(_, number)| number + 1);
        source = Some((item.source, number));
        let (offset, place) = (bytes.len() as u64, item.place.forward(number.min(item.bytes.saturating_sub(1))));
        places.push((offset, place));
        let reject = |bytes, reason| Reject { partition: chunk.partition.clone(), offset, place, bytes, reason };
        match item.state {
            // several hooks made more of it than there are places
            State::Live(record) if number >= item.bytes => {
                let fault = HookFault::TooMany(item.bytes);
                rejects.push(reject(record, Reason::Hook { hook: Arc::clone(last), fault }));
            }
            State::Live(record) => bytes.extend_from_slice(&record),
            State::Dropped => dropped.push(offset),
            State::Rejected(record, reason) => rejects.push(reject(record, reason)),
        }
        bytes.push(b'\n');
    }
    // what is decoded has no more use for where it comes from
    let (places, origins) = (Places::Mapped(places.into()), Origins::default());
    let chunk = Chunk { offset: 0, places, bytes: bytes.into(), origins, ..chunk };
    Hooked { chunk, rejects, dropped }
}
