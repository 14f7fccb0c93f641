//! Which of the scored records of an interval are told, and in which order: by the second of their event time, and within
//! a second the largest score first, as the query of the peer had it (`ORDER BY FLOOR(ROWTIME TO SECOND), ANOMALY_SCORE
//! DESC`). Equal scores keep the order of the partition.

use std::num::NonZeroUsize;

use crate::model::ScoredRecord;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Which scored records are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Those with at least this score.
    pub score_threshold: f64,
    /// Of each second of event time so many at most, the largest scores.
    pub top_per_second: Option<NonZeroUsize>,
}

impl Choice {
    /// All records, in the order in which they are told.
    pub fn ordered(records: &[ScoredRecord]) -> Vec<ScoredRecord> {
        let mut all: Vec<&ScoredRecord> = records.iter().collect();
        in_order(&mut all);
        all.into_iter().cloned().collect()
    }

    /// The records that are told, in order.
    pub fn of(&self, records: &[ScoredRecord]) -> Vec<ScoredRecord> {
        let mut told: Vec<&ScoredRecord> =
            records.iter().filter(|record| record.score > 0.0 && record.score >= self.score_threshold).collect();
        in_order(&mut told);
        let most = self.top_per_second.map_or(usize::MAX, NonZeroUsize::get);
        let (mut second, mut count) = (None, 0);
        told.retain(|record| {
            count = if second == Some(second_of(record)) { count + 1 } else { 1 };
            second = Some(second_of(record));
            count <= most
        });
        told.into_iter().cloned().collect()
    }
}

/// Puts records into the order in which they are told.
fn in_order(records: &mut [&ScoredRecord]) {
    records.sort_by(|a, b| {
        let seconds = second_of(a).cmp(&second_of(b));
        seconds.then_with(|| b.score.total_cmp(&a.score)).then_with(|| a.number.cmp(&b.number))
    });
}

fn second_of(record: &ScoredRecord) -> i64 {
    record.time.micros().div_euclid(MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dimensions, Interval, Length, SeriesKey, Timestamp};

    fn told(choice: Choice, scored: &[(i64, f64)]) -> Vec<u64> {
        let record = |(number, (millis, score)): (u64, &(i64, f64))| ScoredRecord {
            interval: Interval::containing(0, Length::from_seconds(60).unwrap()),
            number,
            time: Timestamp::from_micros(millis * 1000).unwrap(),
            dimensions: Dimensions::new(&[], &SeriesKey::new([])),
            timestamp: "at".to_owned(),
            fields: Vec::new(),
            score: *score,
            explanation: Vec::new(),
        };
        let records: Vec<ScoredRecord> = (0..).zip(scored).map(record).collect();
        choice.of(&records).iter().map(|record| record.number).collect()
    }

    #[test]
    fn records_are_told_by_second_and_then_by_score() {
        let scored = [(1500, 1.2), (999, 3.0), (1000, 2.0), (1999, 2.0), (1001, 0.9), (0, 1.0), (5000, 0.0)];
        let all = Choice { score_threshold: 0.0, top_per_second: None };
        assert_eq!(told(all, &scored), [1, 5, 2, 3, 0, 4]);
        let some = Choice { score_threshold: 1.0, top_per_second: NonZeroUsize::new(2) };
        assert_eq!(told(some, &scored), [1, 5, 2, 3]);
    }
}
