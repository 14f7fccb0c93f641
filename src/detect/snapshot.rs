//! The state of a detector as bytes, and back. Numbers keep their bits, so a restored detector continues exactly as one
//! never stopped (D2).
//!
//! ```text
//! "TWDT" | version u32 | crc32 of the rest u32 | settings, as name and value pairs | state
//! ```
//!
//! Integers are little-endian, sizes are u64, text and bytes are a size and the bytes. The settings are compared name by
//! name: a state learned under other settings is refused with the difference named. What is read is bounded by the
//! bytes that are there, so a damaged file cannot ask for endless memory.

use super::settings::Settings;

const MAGIC: &[u8; 4] = b"TWDT";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 12;

/// Why bytes are no state of this detector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not one of ours, or cut short.
    #[error("not a detector state")]
    Foreign,
    /// Written by another version.
    #[error("detector state of version {0}, this program reads version {VERSION}; hint: let the detector learn again")]
    Version(u32),
    /// Bytes were changed or lost.
    #[error("detector state is damaged: its checksum does not match")]
    Checksum,
    /// Learned under other settings.
    #[error(
        "detector state has {name} `{was}`, the settings say `{is}`; hint: set it back, or start with an empty state"
    )]
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
}

/// Puts header and checksum around a state.
pub(super) fn seal(settings: &Settings, state: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![0; HEADER_BYTES] };
    settings.description().write(&mut writer);
    state(&mut writer);
    let mut bytes = writer.bytes;
    let checksum = crc32fast::hash(&bytes[HEADER_BYTES..]);
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4..8].copy_from_slice(&VERSION.to_le_bytes());
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks header, checksum and settings, and gives what follows them.
pub(super) fn open<'a>(settings: &Settings, bytes: &'a [u8]) -> Result<Reader<'a>, SnapshotError> {
    if bytes.len() < HEADER_BYTES || &bytes[..4] != MAGIC {
        return Err(SnapshotError::Foreign);
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if word(4) != VERSION {
        return Err(SnapshotError::Version(word(4)));
    }
    if word(8) != crc32fast::hash(&bytes[HEADER_BYTES..]) {
        return Err(SnapshotError::Checksum);
    }
    let mut reader = Reader { bytes: &bytes[HEADER_BYTES..] };
    let was = Vec::<(String, String)>::read(&mut reader)?;
    compare(&was, &settings.description())?;
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
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Bytes as they are, with their number before them.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        bytes.len().write(self);
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
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
    /// What [`Writer::text`] wrote.
    pub(super) fn text(&mut self) -> Result<&'a [u8], SnapshotError> {
        let size = usize::read(self)?;
        self.take(size)
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

impl<T: Codec> Codec for Vec<T> {
    fn write(&self, to: &mut Writer) {
        self.len().write(to);
        self.iter().for_each(|item| item.write(to));
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
