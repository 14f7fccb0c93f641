//! A notice as a line of CSV: what it is known by as columns, and all the rest as JSON in the last.

use super::ours;
use crate::model::{Direction, Notice};

const COLUMNS: [&str; 11] =
    ["id", "thread", "kind", "time", "measures", "slices", "direction", "severity", "score", "title", "body"];

pub(super) fn header() -> Vec<u8> {
    record(COLUMNS.map(str::to_owned))
}

pub(super) fn line(notice: &Notice) -> Vec<u8> {
    let slices: Vec<String> = notice.slices.iter().map(ToString::to_string).collect();
    record([
        notice.id.clone(),
        notice.thread.clone(),
        notice.kind.name().to_owned(),
        notice.time.to_string(),
        notice.measures.join("; "),
        slices.join("; "),
        notice.direction.map_or("", direction).to_owned(),
        notice.severity.to_string(),
        notice.score.to_string(),
        notice.title.clone(),
        ours(notice).to_string(),
    ])
}

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::High => "high",
        Direction::Low => "low",
    }
}

/// Writing to memory does not fail.
fn record<const N: usize>(fields: [String; N]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    let mut bytes = writer.write_record(&fields).ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    bytes.pop_if(|last| *last == b'\n');
    bytes
}
