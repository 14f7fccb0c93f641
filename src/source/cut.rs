//! Cuts a stream of bytes into runs of whole records. It counts (decompressed) bytes and knows nothing of files: what
//! it reads from is a [`Fill`].

use std::io;

use bytes::Bytes;
use memchr::memchr;

use crate::model::{Framing, LINE_END_BYTES_MAX};

/// Sizes and framing of the runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutSettings {
    pub(super) framing: Framing,
    /// About how many bytes one run has; a single record may have more.
    pub(super) chunk_bytes: usize,
    /// A longer record is shortened to this many bytes and one more.
    pub(super) record_bytes_max: usize,
}

/// What reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// At least one byte.
    Some,
    /// Nothing, and what is unfinished stays so for now.
    Pause,
    /// Nothing, and nothing more will come: an unfinished last record is whole.
    End,
}

/// Where bytes come from.
pub(super) trait Fill {
    /// Appends at most `want` bytes to `buffer`; waits until it has some.
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> io::Result<Filled>;

    /// Whether `fill` gives what there is instead of all that was wanted: then a run is cut after each.
    fn is_live(&self) -> bool {
        false
    }
}

/// One run of whole records.
#[derive(Debug)]
pub(super) struct Cut {
    /// Offset of its first byte.
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    /// Offset after it: further on than `offset` and the number of bytes say where a record was shortened.
    pub(super) end: u64,
    /// Whether it is known that nothing follows.
    pub(super) last: bool,
}

/// The bytes between what has been read and what has been cut.
#[derive(Debug)]
pub(super) struct Cutter {
    settings: CutSettings,
    pending: Vec<u8>,
    /// Offset of the first pending byte.
    offset: u64,
}

impl Cutter {
    /// Begins at `offset`, which is the beginning of a record.
    pub(super) fn new(settings: CutSettings, offset: u64) -> Cutter {
        let chunk_bytes = settings.chunk_bytes.max(1);
        Cutter { settings: CutSettings { chunk_bytes, ..settings }, pending: Vec::new(), offset }
    }

    /// Offset up to which all has been cut.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset up to which all has been read.
    pub(super) fn filled(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// The next run; `stop` is an offset at which the records before it end for certain. None where there is no
    /// whole record: for ever after [`Filled::End`], for now after [`Filled::Pause`], when reading must begin anew at
    /// [`Cutter::offset`].
    pub(super) fn next(&mut self, input: &mut impl Fill, stop: Option<u64>) -> io::Result<Option<Cut>> {
        let mut want = self.settings.chunk_bytes;
        let mut state = Filled::Some;
        loop {
            while state == Filled::Some && self.pending.len() <= want {
                if input.is_live() && self.whole(want, state).is_some() {
                    break;
                }
                // one byte more than is cut, to know that something follows
                state = self.fill(input, want + 1 - self.pending.len(), stop)?;
                if input.is_live() {
                    break;
                }
            }
            if let Some(length) = self.whole(want, state) {
                if length == self.pending.len() && state == Filled::Some && !input.is_live() {
                    state = self.fill(input, 1, stop)?;
                }
                return Ok(Some(self.cut(length, state)));
            }
            if self.is_too_long() {
                return self.cut_too_long(input, stop);
            }
            if state != Filled::Some {
                return Ok(None);
            }
            want = self.pending.len().saturating_mul(2).max(want);
        }
    }

    /// Takes the first record as a header; none where it is not whole yet. Nothing must have been cut.
    pub(super) fn header(&mut self, input: &mut impl Fill) -> io::Result<Option<Bytes>> {
        let CutSettings { framing, chunk_bytes, record_bytes_max } = self.settings;
        let mut state = Filled::Some;
        loop {
            let length = framing.first_end(&self.pending, record_bytes_max);
            if length.is_none_or(|length| length > record_bytes_max) && self.is_too_long() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the header record is longer than {record_bytes_max} bytes"),
                ));
            }
            if let Some(length) = length {
                return Ok(Some(self.cut(length, Filled::Some).bytes));
            }
            match state {
                Filled::Some => state = self.fill(input, self.pending.len().max(chunk_bytes), None)?,
                Filled::Pause => return Ok(None),
                Filled::End => return Ok(Some(self.cut(self.pending.len(), Filled::End).bytes)),
            }
        }
    }

    /// Reads on to `offset` and drops what is before it; `false` where the input ends earlier.
    pub(super) fn discard_to(&mut self, input: &mut impl Fill, offset: u64) -> io::Result<bool> {
        while self.filled() < offset {
            self.offset = self.filled();
            self.pending.clear();
            let want = usize::try_from(offset - self.offset).unwrap_or(usize::MAX).min(self.settings.chunk_bytes);
            if self.fill(input, want, None)? != Filled::Some {
                return Ok(false);
            }
        }
        let drop = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX).min(self.pending.len());
        self.pending.drain(..drop);
        self.offset += drop as u64;
        Ok(true)
    }

    /// Reads at most `want` bytes and never past `stop`.
    fn fill(&mut self, input: &mut impl Fill, want: usize, stop: Option<u64>) -> io::Result<Filled> {
        let left = match stop {
            Some(stop) => usize::try_from(stop.saturating_sub(self.filled())).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        if left == 0 { Ok(Filled::End) } else { input.fill(&mut self.pending, want.min(left)) }
    }

    /// Length of the whole records to cut now. Where more may come it stays within `want` bytes, so that bytes are
    /// left and the cut is not the last.
    fn whole(&self, want: usize, state: Filled) -> Option<usize> {
        let CutSettings { framing, record_bytes_max, .. } = self.settings;
        let within = &self.pending[..self.pending.len().min(want)];
        let length = framing.last_end(within, record_bytes_max).or_else(|| {
            // one record that is longer than a run, or the tail that follows the last line end
            framing.first_end(&self.pending, record_bytes_max)
        });
        if state != Filled::End || self.pending.len() > want {
            return length;
        }
        let tail = self.pending.len() - length.unwrap_or(0);
        if tail < record_bytes_max.saturating_add(LINE_END_BYTES_MAX) && !self.pending.is_empty() {
            Some(self.pending.len())
        } else {
            length
        }
    }

    /// Whether the first record is longer than the limit for certain.
    fn is_too_long(&self) -> bool {
        self.pending.len() >= self.settings.record_bytes_max.saturating_add(LINE_END_BYTES_MAX)
    }

    fn cut(&mut self, length: usize, state: Filled) -> Cut {
        let tail = self.pending.split_off(length);
        let mut rest = Vec::new();
        if state == Filled::Some || !tail.is_empty() {
            rest.reserve(tail.len() + self.settings.chunk_bytes + SPARE_BYTES);
            rest.extend_from_slice(&tail);
        }
        let bytes = Bytes::from(std::mem::replace(&mut self.pending, rest));
        let offset = self.offset;
        self.offset += length as u64;
        Cut { offset, bytes, end: self.offset, last: state == Filled::End && self.pending.is_empty() }
    }

    /// Cuts the first record, shortened, and drops the rest of it; none where its end has not come yet.
    fn cut_too_long(&mut self, input: &mut impl Fill, stop: Option<u64>) -> io::Result<Option<Cut>> {
        let CutSettings { chunk_bytes, record_bytes_max, .. } = self.settings;
        let offset = self.offset;
        let kept = record_bytes_max.saturating_add(1);
        let mut bytes = std::mem::take(&mut self.pending);
        self.pending = bytes.split_off(kept);
        self.offset += kept as u64;
        loop {
            if let Some(at) = memchr(b'\n', &self.pending) {
                self.pending.drain(..=at);
                self.offset += at as u64 + 1;
                return Ok(Some(Cut { offset, bytes: Bytes::from(bytes), end: self.offset, last: false }));
            }
            self.offset = self.filled();
            self.pending.clear();
            match self.fill(input, chunk_bytes, stop)? {
                Filled::Some => {}
                Filled::End => {
                    return Ok(Some(Cut { offset, bytes: Bytes::from(bytes), end: self.offset, last: true }));
                }
                Filled::Pause => {
                    self.offset = offset;
                    return Ok(None);
                }
            }
        }
    }
}

/// Room for what is read past the wanted bytes, so that a buffer is allocated once.
const SPARE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
