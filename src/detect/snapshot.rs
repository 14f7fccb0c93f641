//! The state of a detector as bytes, and back: the envelope around it, and how values are written. Numbers keep their
//! bits, so a restored detector continues exactly as one never stopped (D2). What lies in the envelope is told by
//! `increment`.
//!
//! ```text
//! "TWDT" | version u32 | crc32 of the rest u32 | settings, as name and value pairs | content
//! ```
//!
//! Integers are little-endian, sizes are u64, text and bytes are a size and the bytes; where there are many, small
//! integers take seven bits a byte, the lowest first. The settings are compared name by
//! name: a state learned under other settings is refused with the difference named. What is read is bounded by the
//! bytes that are there, so a damaged file cannot ask for endless memory.

use super::settings::Settings;
use crate::model::SeriesKey;

const MAGIC: &[u8; 4] = b"TWDT";
/// 11 has forests of a later version, and is 10 otherwise.
const VERSION: u32 = 11;
const OLDEST: u32 = 10;
const HEADER_BYTES: usize = 12;

/// Why bytes are no state of this detector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not one of ours, or cut short.
    #[error("not a detector state")]
    Foreign,
    /// Written by another version.
    #[error("detector state of version {0}, this program reads versions {OLDEST} to {VERSION}")]
    Version(u32),
    /// Bytes were changed or lost.
    #[error("detector state is damaged: its checksum does not match")]
    Checksum,
    /// Learned under other settings.
    #[error("detector state has {name} `{was}`, the settings say `{is}`")]
    Settings {
        /// Which setting.
        name: String,
        /// In the state.
        was: String,
        /// Now.
        is: String,
    },
    /// The checksum holds, yet the content makes no sense.
    #[error("detector state is inconsistent at {0}")]
    Inconsistent(&'static str),
    /// Increments are missing.
    #[error("detector state is incomplete: its increments do not have all series")]
    Incomplete,
}

/// Puts header and checksum around a state.
pub(super) fn seal(settings: &Settings, state: impl FnOnce(&mut Writer)) -> Vec<u8> {
    seal_under(settings.description(), state)
}

/// The same with settings as name and value pairs.
pub(super) fn seal_under(settings: Vec<(String, String)>, state: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![0; HEADER_BYTES] };
    settings.write(&mut writer);
    state(&mut writer);
    let mut bytes = writer.bytes;
    let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The checksum of a sealed state, which tells it from others.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    bytes.get(8..HEADER_BYTES).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// Checks header, checksum and settings, and gives what follows them.
pub(super) fn open<'a>(settings: &Settings, bytes: &'a [u8]) -> Result<Reader<'a>, SnapshotError> {
    open_under(&settings.description(), bytes)
}

/// The same with settings as name and value pairs.
pub(super) fn open_under<'a>(settings: &[(String, String)], bytes: &'a [u8]) -> Result<Reader<'a>, SnapshotError> {
    if bytes.len() < HEADER_BYTES || &bytes[..4] != MAGIC {
        return Err(SnapshotError::Foreign);
    }
    let version = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(SnapshotError::Version(version));
    }
    if checksum(bytes) != crc32fast::hash(&bytes[HEADER_BYTES..]) {
        return Err(SnapshotError::Checksum);
    }
    let mut reader = Reader { bytes: &bytes[HEADER_BYTES..] };
    let was = Vec::<(String, String)>::read(&mut reader)?;
    compare(&was, settings)?;
    Ok(reader)
}

fn compare(was: &[(String, String)], is: &[(String, String)]) -> Result<(), SnapshotError> {
    for at in 0..was.len().max(is.len()) {
        let (before, now) = (was.get(at), is.get(at));
        if before != now {
            let name = before.or(now).map(|(name, _)| name.clone()).unwrap_or_default();
            let value = |pairs: &[(String, String)]| {
                pairs.iter().find(|(other, _)| *other == name).map_or_else(|| "absent".to_owned(), |(_, v)| v.clone())
            };
            return Err(SnapshotError::Settings { was: value(was), is: value(is), name });
        }
    }
    Ok(())
}

/// Collects bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Bytes as they are, with their number before them.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        bytes.len().write(self);
        self.bytes.extend_from_slice(bytes);
    }

    /// An integer that is mostly small, seven bits a byte.
    pub(super) fn small(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Values, with their number before them.
    pub(super) fn list<T: Codec>(&mut self, items: &[T]) {
        items.len().write(self);
        items.iter().for_each(|item| item.write(self));
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends what was written elsewhere.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
impl Writer {
    /// Reads what was written.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.bytes }
    }
}

/// Gives bytes back.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Of bytes without an envelope.
    pub(super) fn of(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// What [`Writer::text`] wrote.
    pub(super) fn text(&mut self) -> Result<&'a [u8], SnapshotError> {
        let size = usize::read(self)?;
        self.take(size)
    }

    /// What [`Writer::small`] wrote.
    pub(super) fn small(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::read(self)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(SnapshotError::Inconsistent("a number"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(SnapshotError::Inconsistent("its end"))?;
        self.bytes = tail;
        Ok(head)
    }

    /// Nothing may follow the state.
    pub(super) fn finish(self) -> Result<(), SnapshotError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(SnapshotError::Inconsistent("its end")) }
    }
}

/// A value that a snapshot carries.
pub(super) trait Codec: Sized {
    /// Appends it.
    fn write(&self, to: &mut Writer);
    /// Takes it back.
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError>;
}

macro_rules! number {
    ($($kind:ty),*) => {$(
        impl Codec for $kind {
            fn write(&self, to: &mut Writer) {
                to.bytes.extend_from_slice(&self.to_le_bytes());
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
                let mut raw = [0; size_of::<$kind>()];
                raw.copy_from_slice(from.take(size_of::<$kind>())?);
                Ok(<$kind>::from_le_bytes(raw))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, i64, f32, f64);

impl Codec for bool {
    fn write(&self, to: &mut Writer) {
        u8::from(*self).write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(u8::read(from)? != 0)
    }
}

impl Codec for usize {
    fn write(&self, to: &mut Writer) {
        (*self as u64).write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        usize::try_from(u64::read(from)?).map_err(|_| SnapshotError::Inconsistent("a size"))
    }
}

impl Codec for String {
    fn write(&self, to: &mut Writer) {
        self.len().write(to);
        to.bytes.extend_from_slice(self.as_bytes());
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let size = usize::read(from)?;
        String::from_utf8(from.take(size)?.to_vec()).map_err(|_| SnapshotError::Inconsistent("a text"))
    }
}

impl Codec for SeriesKey {
    fn write(&self, to: &mut Writer) {
        to.small(self.values().len() as u64);
        for value in self.values() {
            to.small(value.len() as u64);
            to.bytes.extend_from_slice(value.as_bytes());
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let wrong = SnapshotError::Inconsistent("a key");
        let mut values = Vec::new();
        for _ in 0..from.small()? {
            let size = usize::try_from(from.small()?).map_err(|_| wrong.clone())?;
            values.push(std::str::from_utf8(from.take(size)?).map_err(|_| wrong.clone())?);
        }
        Ok(SeriesKey::new(values))
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn write(&self, to: &mut Writer) {
        to.list(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        (0..usize::read(from)?).map(|_| T::read(from)).collect()
    }
}

impl<T: Codec, const N: usize> Codec for [T; N] {
    fn write(&self, to: &mut Writer) {
        self.iter().for_each(|item| item.write(to));
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let items = (0..N).map(|_| T::read(from)).collect::<Result<Vec<T>, SnapshotError>>()?;
        items.try_into().map_err(|_| SnapshotError::Inconsistent("a row"))
    }
}

impl<T: Codec> Codec for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        if bool::read(from)? { T::read(from).map(Some) } else { Ok(None) }
    }
}

impl<A: Codec, B: Codec> Codec for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

/// Writes and reads the named fields of a struct, in the order given; forgetting one does not compile.
macro_rules! codec {
    ($kind:ident { $($field:ident),* $(,)? }) => {
        impl $crate::detect::snapshot::Codec for $kind {
            fn write(&self, to: &mut $crate::detect::snapshot::Writer) {
                let $kind { $($field),* } = self;
                $($crate::detect::snapshot::Codec::write($field, to);)*
            }
            fn read(
                from: &mut $crate::detect::snapshot::Reader<'_>,
            ) -> Result<Self, $crate::detect::snapshot::SnapshotError> {
                $(let $field = $crate::detect::snapshot::Codec::read(from)?;)*
                Ok($kind { $($field),* })
            }
        }
    };
}
pub(super) use codec;
