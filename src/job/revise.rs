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
use crate::model::{Area, Closing, Dimensions, Held, Interval, Object, ObjectPath, Position, SourcePartition};
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
        id: explain::finding_id(&revised.measure, revised.interval, &revised.key),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::detect::{Aggregation, Aggregator, Measure, Settings};
    use crate::model::{Columns, Format, Length, MeasureType, Point, PointState, Rows, Tally, Timestamp};
    use crate::partition::Writer;

    fn columns() -> Columns {
        Columns {
            dimensions: vec!["shop".into()],
            timestamp: "at".into(),
            keep: vec![],
            measures: vec![("views".into(), MeasureType::Integer)],
        }
    }

    /// Rows of one file, at these places.
    fn held(file: &str, places: impl Iterator<Item = u64>) -> Held {
        let offsets: Vec<u64> = places.collect();
        let text = |text: &str| Arc::new(StringArray::from_iter_values(offsets.iter().map(|_| text))) as ArrayRef;
        let views: Int64Array = offsets.iter().map(|_| Some(1)).collect();
        let batch = RecordBatch::try_new(columns().schema(), vec![text("a"), text("then"), Arc::new(views)]).unwrap();
        let mut held = Held::default();
        let rows = Rows::new(batch, vec![Timestamp::MIN; offsets.len()], offsets).unwrap();
        held.add(SourcePartition::new(file), rows);
        held
    }

    fn closing(sequence: u64, interval: Interval, rows: Held, late: BTreeMap<Interval, Held>) -> Closing {
        Closing { sequence, interval, complete: true, rows, late, rejects: Vec::new(), tally: Tally::default() }
    }

    /// A detector that was given these rows of each interval.
    fn detector<'a>(given: impl IntoIterator<Item = (Interval, &'a Held)>) -> Detector {
        let measure = Measure::new(Arc::from("views"), 0, Aggregation::Sum);
        let settings =
            Settings::new(columns().dimensions, vec![measure], Length::from_seconds(300).unwrap(), 1).unwrap();
        let mut detector = Detector::new(settings);
        for (interval, rows) in given {
            let mut aggregator = Aggregator::new(&columns());
            rows.rows().for_each(|rows| aggregator.add(rows));
            detector.observe(&aggregator.close(interval));
        }
        detector
    }

    #[tokio::test]
    async fn rows_that_are_in_an_earlier_commit_are_not_late_again() {
        let store = Store::in_memory();
        let writer = Writer::new(store.clone(), columns(), Format::Csv, 1 << 20);
        let late_rows = LateRows::new(store);
        let first = Interval::containing(0, Length::from_seconds(300).unwrap());
        let (early, other) = (first.offset(-1), first.offset(1));
        // what a job committed in time that was stopped before its checkpoint: places 0 to 3 of one file
        let there = held("one", 0..4);
        writer.commit(&closing(1, first, held("one", 0..4), BTreeMap::new())).await.unwrap();
        let detector = detector([(first, &there), (other, &held("one", 8..9))]);
        // in another order of reading 2 and 3 are late, with 4 and 5, and rows of another file; and some of an interval
        // that the detector has never heard of
        let late = || BTreeMap::from([(first, held("one", 2..6)), (early, held("two", 0..1))]);
        let of = async |closing: &Closing, adopted| {
            let late = late_rows.of(closing, adopted, &detector).await.unwrap();
            late.into_iter().map(|(interval, rows)| (interval, rows.len())).collect::<Vec<_>>()
        };
        let second = closing(2, other, held("one", 8..9), late());
        assert_eq!(of(&second, false).await, [(first, 2)], "before its own commit");
        writer.commit(&second).await.unwrap();
        assert_eq!(of(&second, false).await, [(first, 2)], "after it, as often as it is repeated");
        // the detector was not told of them: a later closing finds that it does not know the value
        let third = closing(3, other.offset(1), Held::default(), BTreeMap::from([(first, held("one", 6..7))]));
        assert!(of(&third, false).await.is_empty());
        // another commit of the same interval stands: the rows that it lacks revise it
        let again = closing(2, other, held("one", 8..12), BTreeMap::new());
        assert!(writer.commit(&again).await.unwrap().adopted);
        assert_eq!(of(&again, true).await, [(other, 3)]);
    }

    #[test]
    fn the_id_of_a_revision_is_that_of_the_finding() {
        let interval = Interval::containing(0, Length::from_seconds(300).unwrap());
        let revised = Revised {
            outcome: Outcome::Withdrawn,
            interval,
            key: crate::model::SeriesKey::new(["a"]),
            measure: Arc::from("views"),
            value_before: None,
            value: 9.0,
            expected: 10.0,
            lower: 8.0,
            upper: 12.0,
            direction: crate::model::Direction::Low,
            since: interval.offset(-2),
            severity_before: Some(80.0),
            severity: 12.0,
        };
        let dimensions = ["shop".to_owned()];
        let point = Point {
            interval,
            key: revised.key.clone(),
            measure: Arc::from("views"),
            value: None,
            expected: 10.0,
            lower: 8.0,
            upper: 12.0,
            score: 5.0,
            severity: 80.0,
            state: PointState::Anomalous { direction: revised.direction, since: revised.since },
        };
        let told = explain::groups(&[point], &dimensions, |_| explain::Nature::AddsUp);
        let [line] = &lines(vec![revised], interval.offset(3), &dimensions)[..] else { panic!("one") };
        assert_eq!(line.id, told[0].findings[0].id);
        assert_eq!((line.revised_with, line.since), (interval.offset(3).start(), interval.offset(-2).start()));
    }
}
