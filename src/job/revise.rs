//! Late rows on their way to the detector: which of the rows that left with a closing make a revision of an interval that
//! the detector has judged, and what becomes of its verdicts, as lines of the table of revisions.
//!
//! All late rows of a closing go to the detector, as they do in a backtest over the source, with two exceptions that
//! only a job has that was stopped between a commit and its checkpoint, and then read its files in another order:
//!
//! - rows that are in an earlier commit of the same interval were judged there;
//! - where an interval has rows that the detector was never given (its source's end cut it short, or the detector has
//!   learned it from the partitions, whose first revision alone is judged), what it knows is not the value, and it says
//!   nothing.
//!
//! What this very closing has committed, before it was stopped, does not count as earlier: a closing that is done again
//! gives the same lines.

use super::error::JobError;
use crate::alert::{Revision, Status};
use crate::detect::{Detector, Outcome, Revised};
use crate::explain;
use crate::interval::ScatterError;
use crate::model::{
    Area, Closing, Dimensions, Held, Interval, Object, ObjectPath, Point, PointState, Position, SourcePartition,
};
use crate::partition::{Manifest, ReadError};
use crate::store::Store;

/// Finds the late rows that the detector is to be given.
#[derive(Clone, Debug)]
pub(super) struct LateRows {
    store: Store,
}

impl LateRows {
    /// Of the partitions in a store.
    pub(super) fn new(store: Store) -> LateRows {
        LateRows { store }
    }

    /// The rows of a closing that has been committed, by the interval that they revise. Those of its own interval are
    /// among them where another commit of it stands.
    pub(super) async fn of(
        &self,
        closing: &Closing,
        adopted: bool,
        detector: &Detector,
    ) -> Result<Vec<(Interval, Held)>, JobError> {
        let own = adopted.then_some((&closing.interval, &closing.rows));
        let mut late = Vec::new();
        for (interval, rows) in closing.late.iter().chain(own) {
            let Some(known) = detector.known_rows(*interval) else { continue };
            let mut before = self.manifests(*interval).await?;
            before.retain(|there| there.revision == 0 || there.sequence < closing.sequence);
            if known != before.iter().map(|there| there.rows).sum::<u64>() {
                continue;
            }
            let is_new = |partition: &SourcePartition, position: Position| {
                let mut ranges = before.iter().flat_map(|there| &there.sources);
                !ranges.any(|range| range.partition == *partition && position <= range.last)
            };
            let rows = rows.retained(is_new).map_err(ScatterError::from)?;
            if !rows.is_empty() {
                late.push((*interval, rows));
            }
        }
        Ok(late)
    }

    /// The manifests of an interval, in the order of revisions: after the first one, which an interval without rows in
    /// time does not have, there is no gap.
    async fn manifests(&self, interval: Interval) -> Result<Vec<Manifest>, JobError> {
        let mut manifests = Vec::new();
        for revision in 0.. {
            let name = ObjectPath { area: Area::Data, interval, object: Object::Manifest { revision } }.to_string();
            match self.store.get(&name).await? {
                Some(bytes) => {
                    let manifest = Manifest::from_json(&bytes);
                    manifests.push(manifest.map_err(|source| ReadError::Manifest { name, source })?);
                }
                None if revision == 0 => {}
                None => break,
            }
        }
        Ok(manifests)
    }
}

/// What became of verdicts when an interval closed, as lines of the table.
pub(super) fn lines(revised: Vec<Revised>, with: Interval, dimensions: &[String]) -> Vec<Revision> {
    revised.into_iter().map(|revised| line(revised, with, dimensions)).collect()
}

fn line(revised: Revised, with: Interval, dimensions: &[String]) -> Revision {
    Revision {
        id: id(&revised, dimensions),
        interval_start: revised.interval.start(),
        interval_end: revised.interval.end(),
        dimensions: Dimensions::new(dimensions, &revised.key),
        measure: revised.measure.to_string(),
        status: match revised.outcome {
            Outcome::Confirmed => Status::Confirmed,
            Outcome::Withdrawn => Status::Withdrawn,
            Outcome::Raised => Status::Raised,
        },
        revised_with: with.start(),
        since: revised.since.start(),
        value_before: revised.value_before,
        value: revised.value,
        expected: revised.expected,
        lower: revised.lower,
        upper: revised.upper,
        direction: revised.direction,
        severity_before: revised.severity_before,
        severity: revised.severity,
    }
}

/// The id that the finding has in the anomaly table, or would have.
fn id(revised: &Revised, dimensions: &[String]) -> String {
    let Revised { interval, key, measure, value, expected, lower, upper, direction, since, severity, .. } = revised;
    let point = Point {
        interval: *interval,
        key: key.clone(),
        measure: measure.clone(),
        value: Some(*value),
        expected: *expected,
        lower: *lower,
        upper: *upper,
        score: 0.0,
        severity: *severity,
        state: PointState::Anomalous { direction: *direction, since: *since },
    };
    let groups = explain::groups(&[point], dimensions);
    groups.into_iter().flat_map(|group| group.findings).map(|finding| finding.id).next().unwrap_or_default()
}
