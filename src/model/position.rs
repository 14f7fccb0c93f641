//! Places in a source partition, and how they are written: a number of bytes as a number, everything else as text.
//!
//! ```text
//! 120                     120 (decompressed) bytes of a file, everything before them
//! "start"                 not begun; the oldest record comes first
//! "arrival:1700000000000" not begun; records that arrived at or after this instant (milliseconds since 1970)
//! "4959…898+17"           17 bytes into the record with this sequence number
//! "4959…898"              behind the whole of that record
//! "end"                   finished, for ever
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A place in a source partition. Places of one partition are ordered as its records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Nothing has been read; the oldest record that is kept comes first.
    Start,
    /// Nothing has been read; records that arrived before this instant, in milliseconds since 1970, are left out.
    Arrival(i64),
    /// Everything before this many (decompressed) bytes has been read.
    Offset(u64),
    /// In a numbered record; everything before this place has been read.
    Record {
        /// The record.
        sequence: SequenceNumber,
        /// Bytes of the record (unpacked, where it was packed) that are before the place; [`Position::WHOLE`] for all.
        byte: u32,
    },
    /// The partition is finished and never grows again.
    End,
}

/// The number of a stream's record: a decimal number of up to 76 digits, ordered as numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    /// All but the last 38 digits.
    high: u128,
    /// The last 38 digits.
    low: u128,
}

/// Text that is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position in a source partition")]
pub struct PositionError(String);

/// Digits that fit into half a number.
const HALF_DIGITS: usize = 38;

impl Position {
    /// As `byte`: the whole record.
    pub const WHOLE: u32 = u32::MAX;

    /// The number of bytes, in a partition that is a run of bytes and was begun.
    pub fn offset(self) -> Option<u64> {
        if let Position::Offset(offset) = self { Some(offset) } else { None }
    }

    /// The place so many bytes further on, within one record.
    #[must_use]
    pub fn forward(self, bytes: u64) -> Position {
        match self {
            Position::Offset(offset) => Position::Offset(offset.saturating_add(bytes)),
            Position::Record { sequence, byte } => {
                let byte = u64::from(byte).saturating_add(bytes).min(u64::from(Position::WHOLE - 1));
                Position::Record { sequence, byte: u32::try_from(byte).unwrap_or(Position::WHOLE - 1) }
            }
            other => other,
        }
    }

    /// Behind the whole of a record.
    pub fn after(sequence: SequenceNumber) -> Position {
        Position::Record { sequence, byte: Position::WHOLE }
    }
}

impl FromStr for SequenceNumber {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<SequenceNumber, PositionError> {
        let is_number = !text.is_empty() && text.len() <= 2 * HALF_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return Err(PositionError(text.to_owned()));
        }
        let (high, low) = text.split_at(text.len().saturating_sub(HALF_DIGITS));
        let half = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse() };
        let error = |_| PositionError(text.to_owned());
        Ok(SequenceNumber { high: half(high).map_err(error)?, low: half(low).map_err(error)? })
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.high {
            0 => write!(f, "{}", self.low),
            high => write!(f, "{high}{:038}", self.low),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Start => f.write_str("start"),
            Position::Arrival(millis) => write!(f, "arrival:{millis}"),
            Position::Offset(offset) => write!(f, "{offset}"),
            Position::Record { sequence, byte: Position::WHOLE } => write!(f, "{sequence}"),
            Position::Record { sequence, byte } => write!(f, "{sequence}+{byte}"),
            Position::End => f.write_str("end"),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    /// Reads what is written as text: everything but an offset.
    fn from_str(text: &str) -> Result<Position, PositionError> {
        let error = || PositionError(text.to_owned());
        match text {
            "start" => Ok(Position::Start),
            "end" => Ok(Position::End),
            _ => match (text.strip_prefix("arrival:"), text.split_once('+')) {
                (Some(millis), _) => millis.parse().map(Position::Arrival).map_err(|_| error()),
                (None, Some((sequence, byte))) => {
                    Ok(Position::Record { sequence: sequence.parse()?, byte: byte.parse().map_err(|_| error())? })
                }
                (None, None) => Ok(Position::after(text.parse()?)),
            },
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Position::Offset(offset) => serializer.serialize_u64(*offset),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(offset) => Ok(Position::Offset(offset)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

/// What the byte offsets in a chunk stand for in its source partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Places {
    /// The partition is a run of bytes, and the offsets are its own.
    #[default]
    Bytes,
    /// The partition is a run of numbered records: offset at which each begins in the chunk, ascending, and its number.
    Records(Arc<[(u64, SequenceNumber)]>),
    /// The records are others than those of the partition: offset at which each begins in the chunk, ascending, and the
    /// place that it has.
    Mapped(Arc<[(u64, Position)]>),
}

impl Places {
    /// The place that an offset stands for.
    pub fn at(&self, offset: u64) -> Position {
        let records = match self {
            Places::Bytes => return Position::Offset(offset),
            Places::Records(records) => records,
            Places::Mapped(places) => {
                let index = places.partition_point(|(begin, _)| *begin <= offset).saturating_sub(1);
                return places.get(index).map_or(Position::Offset(offset), |(_, place)| *place);
            }
        };
        let index = records.partition_point(|(begin, _)| *begin <= offset).saturating_sub(1);
        match records.get(index) {
            Some((begin, sequence)) => {
                let byte = u32::try_from(offset.saturating_sub(*begin)).unwrap_or(Position::WHOLE);
                Position::Record { sequence: *sequence, byte: byte.min(Position::WHOLE - 1) }
            }
            None => Position::Offset(offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn positions_are_written_as_the_opening_says() {
        let sequence: SequenceNumber = "49590338271490256608559692538361571095921575989136588898".parse().unwrap();
        for (position, json) in [
            (Position::Offset(120), "120"),
            (Position::Start, "\"start\""),
            (Position::Arrival(1_700_000_000_000), "\"arrival:1700000000000\""),
            (
                Position::Record { sequence, byte: 17 },
                "\"49590338271490256608559692538361571095921575989136588898+17\"",
            ),
            (Position::after(sequence), "\"49590338271490256608559692538361571095921575989136588898\""),
            (Position::End, "\"end\""),
        ] {
            assert_eq!(serde_json::to_string(&position).unwrap(), json);
            assert_eq!(serde_json::from_str::<Position>(json).unwrap(), position);
        }
        for bad in ["\"\"", "\"x\"", "\"1+\"", "\"arrival:\"", "-1", "\"-1\""] {
            assert!(serde_json::from_str::<Position>(bad).is_err(), "{bad}");
        }
        assert!("1".repeat(77).parse::<SequenceNumber>().is_err());
    }

    #[test]
    fn an_offset_is_in_the_record_that_begins_at_or_before_it() {
        let number = |text: &str| text.parse::<SequenceNumber>().unwrap();
        let places = Places::Records(Arc::from([(10, number("5")), (30, number("7"))]));
        assert_eq!(places.at(10), Position::Record { sequence: number("5"), byte: 0 });
        assert_eq!(places.at(29), Position::Record { sequence: number("5"), byte: 19 });
        assert_eq!(places.at(30), Position::Record { sequence: number("7"), byte: 0 });
        assert!(places.at(29) < Position::after(number("5")) && Position::after(number("5")) < places.at(30));
        assert_eq!(Places::Bytes.at(29), Position::Offset(29));
        let mapped = Places::Mapped(Arc::from([(0, Position::Offset(100)), (7, places.at(10).forward(2))]));
        assert_eq!((mapped.at(0), mapped.at(6)), (Position::Offset(100), Position::Offset(100)));
        assert_eq!(mapped.at(7), Position::Record { sequence: number("5"), byte: 2 });
    }

    proptest! {
        #[test]
        fn sequence_numbers_are_numbers(a in "[1-9][0-9]{0,75}", b in "[1-9][0-9]{0,75}") {
            let (one, two): (SequenceNumber, SequenceNumber) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(one.to_string(), a.clone());
            prop_assert_eq!(one.cmp(&two), (a.len(), &a).cmp(&(b.len(), &b)));
        }
    }
}
