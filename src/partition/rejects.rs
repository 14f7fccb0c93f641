//! Reject objects: one JSON line per record that could not be used, with its bytes, its place and the reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::{Position, Reject};

#[derive(Serialize)]
struct Line<'a> {
    partition: &'a str,
    position: Position,
    reason: &'static str,
    detail: String,
    /// The record, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    /// The record in base 64, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

/// The bytes of a reject object.
pub(super) fn encode(rejects: &[Reject]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for reject in rejects {
        let record = std::str::from_utf8(&reject.bytes).ok();
        let line = Line {
            partition: reject.partition.name(),
            position: reject.place,
            reason: reject.reason.code(),
            detail: reject.reason.to_string(),
            record,
            record_base64: record.is_none().then(|| STANDARD.encode(&reject.bytes)),
        };
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}
