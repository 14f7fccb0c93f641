//! Records that could not be used. Bad input is data: a reject keeps the record's bytes, its place and the reason, is
//! written beside the partitions and counted (E3).

use bytes::Bytes;

use super::{Position, SourcePartition};

/// One record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it came from.
    pub partition: SourcePartition,
    /// Offset of its first byte, as its chunk counts.
    pub offset: u64,
    /// Its place in the source partition.
    pub place: Position,
    /// The record as it came, without its line end.
    pub bytes: Bytes,
    /// Why it could not be used.
    pub reason: Reason,
}

/// Why a record could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The record does not follow the format: broken JSON, an open quote, bytes that are not UTF-8.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A column that the job needs is missing, null or empty.
    #[error("column `{0}` is missing")]
    Missing(String),
    /// A value is not of its column's type.
    #[error("column `{column}`: `{value}` is not {wanted}")]
    WrongType {
        /// The column.
        column: String,
        /// The value, shortened.
        value: String,
        /// The type with its article, such as `an integer`.
        wanted: &'static str,
    },
    /// The timestamp follows none of the configured patterns or lies outside the years 1 to 9999.
    #[error("column `{column}`: `{value}` is not a timestamp of the configured format")]
    Timestamp {
        /// The timestamp column.
        column: String,
        /// The value, shortened.
        value: String,
    },
    /// The event time lies so far ahead of the stream that it would close intervals which are still being filled.
    #[error("event time {time} is more than `interval.ahead_max` ahead of the stream")]
    Ahead {
        /// The event time.
        time: super::Timestamp,
    },
    /// The record is longer than the limit.
    #[error("record is longer than {0} bytes")]
    TooLong(usize),
}

impl Reason {
    /// A short fixed word for counters and reject objects.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Malformed(_) => "malformed",
            Reason::Missing(_) => "missing",
            Reason::WrongType { .. } => "wrong_type",
            Reason::Timestamp { .. } => "timestamp",
            Reason::Ahead { .. } => "ahead",
            Reason::TooLong(_) => "too_long",
        }
    }
}
