//! Records that could not be used. Bad input is data: a reject keeps the record's bytes, its place and the reason, is
//! written beside the partitions and counted (E3).

use std::sync::Arc;

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
    /// The record as it came, without its line end; behind hooks, as the last of them gave it.
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
    /// A reference table has no row for the record, and asks for one.
    #[error("no reference data for `{column}` = `{value}`")]
    Unmatched {
        /// The columns of the key.
        column: String,
        /// Their values.
        value: String,
    },
    /// The record is longer than the limit.
    #[error("record is longer than {0} bytes")]
    TooLong(usize),
    /// A hook gave no use of it; the bytes are those that it was given.
    #[error("hook `{hook}`: {fault}")]
    Hook {
        /// The hook's name.
        hook: Arc<str>,
        /// What went wrong.
        fault: HookFault,
    },
}

/// What is wrong with a hook's answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookFault {
    /// It said so itself.
    #[error("it answered `ProcessingFailed`")]
    ProcessingFailed,
    /// It said so itself, of what it was to deliver.
    #[error("it answered `DeliveryFailed`")]
    DeliveryFailed,
    /// The answer does not speak of the record.
    #[error("its answer does not have this record's id")]
    MissingId,
    /// The answer speaks of a record that was not asked about.
    #[error("its answer has the id `{0}`, which was not asked for")]
    UnknownId(String),
    /// The answer speaks of the record twice.
    #[error("its answer has this record's id more than once")]
    DoubledId,
    /// A result that is none.
    #[error("its result is {0}, allowed is {1}")]
    Result(String, &'static str),
    /// Data that is not base 64, or none.
    #[error("its data is not base 64")]
    Base64,
    /// Data that does not end where a record ends.
    #[error("its data ends inside of a quote")]
    OpenQuote,
    /// More records than the one that they come from has bytes.
    #[error("it made more than {0} records of this one, as many as it has bytes")]
    TooMany(u64),
    /// An answer that is no JSON.
    #[error("its answer is no JSON: {0}")]
    NotJson(String),
    /// An answer that is JSON of another form.
    #[error("its answer has another form: {0}")]
    Form(String),
    /// An answer that is too long.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// No answer in time.
    #[error("it gave no answer in time")]
    Timeout,
    /// An answer that says that it did not work.
    #[error("it answered with {0}")]
    Status(String),
    /// It cannot be reached, or it ended.
    #[error("{0}")]
    Gone(String),
}

impl HookFault {
    /// A short fixed word for counters and reject objects.
    pub fn code(&self) -> &'static str {
        match self {
            HookFault::ProcessingFailed => "hook_processing_failed",
            HookFault::DeliveryFailed => "hook_delivery_failed",
            HookFault::MissingId => "hook_missing_id",
            HookFault::UnknownId(_) => "hook_unknown_id",
            HookFault::DoubledId => "hook_doubled_id",
            HookFault::Result(..) => "hook_result",
            HookFault::Base64 => "hook_base64",
            HookFault::OpenQuote => "hook_open_quote",
            HookFault::TooMany(_) => "hook_too_many",
            HookFault::NotJson(_) => "hook_not_json",
            HookFault::Form(_) => "hook_form",
            HookFault::TooLong(_) => "hook_too_long",
            HookFault::Timeout => "hook_timeout",
            HookFault::Status(_) => "hook_status",
            HookFault::Gone(_) => "hook_gone",
        }
    }
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
            Reason::Unmatched { .. } => "unmatched",
            Reason::TooLong(_) => "too_long",
            Reason::Hook { fault, .. } => fault.code(),
        }
    }
}
