//! The stage over random streams: chunk boundaries change nothing, a stage that resumes gives what it would have given,
//! every record is accounted for once, and the oracle of local civil time holds.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::{Held, Position};

mod lanes;

const SECOND: i64 = 1_000_000;

/// One record of a test stream: its event time in seconds, or none where it is a reject, and whether a filter keeps it.
type Record = (Option<i64>, bool);

fn settings(zone: &str, close: CloseAt) -> Settings {
    Settings {
        length: Length::from_seconds(300).unwrap(),
        zone: Zone::from_name(zone).unwrap(),
        offset_micros: 60 * 1_000_000,
        ahead_max_micros: 7 * 86_400 * 1_000_000,
        close,
        lanes: Lanes::One,
    }
}

/// A chunk of the test stream: record `i` stands at position `i` and carries `i` as its only value.
fn batch(records: &[Record], from: usize, to: usize) -> Batch {
    batch_of(SourcePartition::new("test"), records, from, to, 0)
}

/// The same of a partition whose record `i` carries `i` and `more`.
fn batch_of(partition: SourcePartition, records: &[Record], from: usize, to: usize, more: usize) -> Batch {
    let rows = || (from..to).filter_map(|i| Some((i, records[i].0?)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows().map(|(i, _)| (i + more) as i64)));
    let schema = Schema::new(vec![Field::new("value", DataType::Int64, true)]);
    let times = rows().map(|(_, time)| Timestamp::from_micros(time * SECOND).unwrap()).collect();
    let positions = rows().map(|(i, _)| i as u64).collect();
    let rejects = (from..to).filter(|i| records[*i].0.is_none()).map(|i| Reject {
        partition: partition.clone(),
        offset: i as u64,
        place: Position::Offset(i as u64),
        bytes: Bytes::new(),
        reason: Reason::Malformed("test".into()),
    });
    Batch {
        keep: rows().map(|(i, _)| records[i].1).collect(),
        rejects: rejects.collect(),
        dropped: Vec::new(),
        rows: Rows::new(RecordBatch::try_new(Arc::new(schema), vec![values]).unwrap(), times, positions).unwrap(),
        chunk: Chunk::of_bytes(partition, from as u64, vec![b'x'; to - from].into(), Position::Offset(to as u64)),
    }
}

fn values(held: &Held) -> Vec<i64> {
    let column = |rows: &Rows| rows.batch().column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
    let mut held = held.clone();
    held.recall(|away| Err(ArrowError::InvalidArgumentError(format!("{away:?}")))).unwrap();
    held.rows().flat_map(column).collect()
}

/// All that leaves with a closing, in a form that compares.
fn show(closing: &Closing) -> String {
    let late: Vec<_> = closing.late.iter().map(|(interval, held)| (interval.to_string(), values(held))).collect();
    let rejects: Vec<_> = closing.rejects.iter().map(|reject| (reject.offset, reject.reason.code())).collect();
    let Closing { sequence, interval, rows, tally, .. } = closing;
    format!("{sequence} {interval} {:?} late {late:?} rejects {rejects:?} {tally:?}", values(rows))
}

fn run(stage: &mut Intervals, records: &[Record], cuts: &[usize]) -> Vec<String> {
    let mut shown = Vec::new();
    for pair in cuts.windows(2) {
        let closings = stage.push(batch(records, pair[0], pair[1])).unwrap();
        shown.extend(closings.iter().map(show));
    }
    shown
}

/// Closes the first open interval by the clock.
fn close_silent(stage: &mut Intervals, now: Timestamp) -> Vec<Closing> {
    let raises = stage.plan(|_| true, now);
    stage.raise(raises).unwrap()
}

fn cuts(len: usize, inner: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = inner.iter().map(|cut| cut % (len + 1)).chain([0, len]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// A stream that moves on by up to two minutes a record, with records up to half an hour late, rejects and filtered ones.
fn stream() -> impl Strategy<Value = Vec<Record>> {
    let step = (0..120i64, prop_oneof![4 => Just(0i64), 2 => 0..200i64, 1 => 200..1800i64], 0..20u32);
    prop::collection::vec(step, 1..200).prop_map(|steps| {
        let mut now = 1_600_000_000;
        let record = |(step, behind, kind): (i64, i64, u32)| {
            now += step;
            match kind {
                0 => (None, true),
                1 => (Some(now - behind), false),
                _ => (Some(now - behind), true),
            }
        };
        steps.into_iter().map(record).collect()
    })
}

proptest! {
    #[test]
    fn chunk_boundaries_change_nothing(records in stream(), inner in prop::collection::vec(0..1000usize, 0..8)) {
        let mut whole = Intervals::new(settings("UTC", CloseAt::Watermark));
        let mut expected = run(&mut whole, &records, &[0, records.len()]);
        expected.extend(whole.finish().unwrap().iter().map(show));
        let mut parts = Intervals::new(settings("UTC", CloseAt::Watermark));
        let mut given = run(&mut parts, &records, &cuts(records.len(), &inner));
        given.extend(parts.finish().unwrap().iter().map(show));
        prop_assert_eq!(given, expected);
        prop_assert_eq!(parts.state(), whole.state());
    }

    #[test]
    fn every_record_leaves_once(records in stream(), end in any::<bool>()) {
        let close = if end { CloseAt::End } else { CloseAt::Watermark };
        let mut stage = Intervals::new(settings("UTC", close));
        let mut closings = stage.push(batch(&records, 0, records.len())).unwrap();
        let left: u64 = closings.iter().map(|closing| closing.tally.read()).sum();
        prop_assert_eq!(left + stage.held(), stage.state().read);
        closings.extend(stage.finish().unwrap());
        prop_assert_eq!(stage.held(), 0);
        let tallies = closings.iter().fold(Tally::default(), |mut sum, closing| { sum.add(&closing.tally); sum });
        prop_assert_eq!(tallies.read(), records.len() as u64);
        let written = closings.iter().flat_map(|closing| values(&closing.rows));
        let late = closings.iter().flat_map(|closing| closing.late.values().flat_map(values));
        let mut seen: Vec<i64> = written.chain(late).collect();
        prop_assert_eq!(seen.len() as u64, tallies.written + tallies.late);
        seen.sort_unstable();
        let kept = |(i, record): (usize, &Record)| (record.0.is_some() && record.1).then_some(i as i64);
        let expected: Vec<i64> = records.iter().enumerate().filter_map(kept).collect();
        prop_assert_eq!(seen, expected);
        if end {
            prop_assert_eq!(tallies.late, 0, "nothing is late where all closes at the end");
        }
        for pair in closings.windows(2) {
            prop_assert_eq!(pair[0].sequence + 1, pair[1].sequence);
        }
    }

    #[test]
    fn a_resumed_stage_gives_the_rest(
        records in stream(), inner in prop::collection::vec(0..1000usize, 0..8), again in prop::collection::vec(0..1000usize, 0..8),
        stop in 0..1000usize, raise_at in 0..1000usize,
    ) {
        let cuts_once = cuts(records.len(), &inner);
        let stop = stop % cuts_once.len();
        let raise_at = raise_at % cuts_once.len();
        let mut stage = Intervals::new(settings("UTC", CloseAt::Watermark));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut resume = (stage.resume_point(), stage.state().clone());
        for (index, cut) in cuts_once.iter().enumerate() {
            let shown = if index <= stop { &mut before } else { &mut after };
            if index > 0 {
                shown.extend(run(&mut stage, &records, &[cuts_once[index - 1], *cut]));
            }
            if index == raise_at && let Some(close) = stage.next_close() {
                shown.extend(close_silent(&mut stage, close).iter().map(show));
            }
            if index == stop {
                resume = (stage.resume_point(), stage.state().clone());
            }
        }
        after.extend(stage.finish().unwrap().iter().map(show));

        let partition = SourcePartition::new("test");
        let begin = match resume.0.progress.get(&partition) { Some(Position::Offset(offset)) => offset as usize, _ => 0 };
        // the source cuts where the watermark was raised, and where it pleases otherwise
        let raised = if raise_at > stop { cuts_once[raise_at] } else { begin };
        let mut cuts_again: Vec<usize> = cuts(records.len(), &again);
        cuts_again.extend(resume.0.raises.iter().filter_map(|raise| match raise.at.get(&partition) {
            Some(Position::Offset(offset)) => Some(offset as usize),
            _ => None,
        }));
        cuts_again.extend([begin, raised]);
        cuts_again.retain(|cut| *cut >= begin);
        cuts_again.sort_unstable();
        cuts_again.dedup();
        let mut resumed = Intervals::resume(settings("UTC", CloseAt::Watermark), resume.0, resume.1);
        let mut given = Vec::new();
        for (index, cut) in cuts_again.iter().enumerate() {
            if index > 0 {
                given.extend(run(&mut resumed, &records, &[cuts_again[index - 1], *cut]));
            }
            if raise_at > stop && *cut == raised && let Some(close) = resumed.next_close() {
                given.extend(close_silent(&mut resumed, close).iter().map(show));
            }
        }
        given.extend(resumed.finish().unwrap().iter().map(show));
        prop_assert_eq!(given, after);
        prop_assert_eq!(resumed.state(), stage.state());
    }
}

/// Interval labels of single event times, each in a stage of its own.
fn label(zone: &str, length_s: u64, time: &str) -> String {
    let length = Length::from_seconds(length_s).unwrap();
    let mut stage = Intervals::new(Settings { length, ..settings(zone, CloseAt::Watermark) });
    let seconds = chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp();
    stage.push(batch(&[(Some(seconds), true)], 0, 1)).unwrap();
    stage.finish().unwrap()[0].interval.to_string()
}

#[test]
fn the_interval_oracle_holds_across_a_change_of_clocks_and_before_1970() {
    for (zone, time, five, ten) in [
        ("UTC", "2021-05-24T19:18:28Z", "2021-05-24 19:15:00", "2021-05-24 19:10:00"),
        ("UTC", "2021-05-24T19:21:15Z", "2021-05-24 19:20:00", "2021-05-24 19:20:00"),
        ("UTC", "1969-12-31T23:59:59Z", "1969-12-31 23:55:00", "1969-12-31 23:50:00"),
        ("UTC", "1901-02-03T04:06:00Z", "1901-02-03 04:05:00", "1901-02-03 04:00:00"),
        ("Europe/Berlin", "2021-03-28T00:59:59Z", "2021-03-28 01:55:00", "2021-03-28 01:50:00"),
        ("Europe/Berlin", "2021-03-28T01:00:00Z", "2021-03-28 03:00:00", "2021-03-28 03:00:00"),
        ("Europe/Berlin", "2021-10-31T00:07:00Z", "2021-10-31 02:05:00", "2021-10-31 02:00:00"),
        ("Europe/Berlin", "2021-10-31T01:07:00Z", "2021-10-31 02:05:00", "2021-10-31 02:00:00"),
        ("America/New_York", "1969-06-01T03:59:00Z", "1969-05-31 23:55:00", "1969-05-31 23:50:00"),
    ] {
        assert_eq!(label(zone, 300, time), five, "{zone} {time}");
        assert_eq!(label(zone, 600, time), ten, "{zone} {time}");
    }
}

#[test]
fn an_hour_that_comes_twice_stays_open_until_its_second_passing() {
    let seconds = |text: &str| Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp());
    let records = [
        (seconds("2021-10-31T00:02:00Z"), true), // 02:02, first time
        (seconds("2021-10-31T00:58:00Z"), true),
        (seconds("2021-10-31T01:02:00Z"), true), // 02:02, second time
        (seconds("2021-10-31T01:06:00Z"), true), // reaches 02:05 and the offset: 02:00 closes
    ];
    let mut stage = Intervals::new(settings("Europe/Berlin", CloseAt::Watermark));
    let closings = stage.push(batch(&records, 0, 4)).unwrap();
    let shown: Vec<_> = closings.iter().map(|closing| (closing.interval.to_string(), values(&closing.rows))).collect();
    assert_eq!(shown, [("2021-10-31 02:00:00".to_owned(), vec![0, 2])]);
}

#[test]
fn a_wild_event_time_is_rejected_until_the_stream_follows_it() {
    let now = 1_600_000_000;
    let future = now + 400 * 86_400;
    let mut stage = Intervals::new(settings("UTC", CloseAt::Watermark));
    let mut records = vec![(Some(now), true), (Some(future), true), (Some(now + 1), true)];
    stage.push(batch(&records, 0, 3)).unwrap();
    assert_eq!(stage.watermark().unwrap().micros(), (now + 1) * SECOND);
    records.extend((0..15).map(|i| (Some(future + i), true)));
    let closings = stage.push(batch(&records, 3, records.len())).unwrap();
    assert_eq!(closings.len(), 1, "the interval of `now`");
    assert_eq!(closings[0].tally, Tally { written: 2, late: 0, filtered: 0, rejected: 11 });
    assert_eq!(closings[0].rejects[0].reason.code(), "ahead");
    assert_eq!(closings[0].rejects[0].bytes.as_ref(), b"x");
}

#[test]
fn late_rows_of_a_later_run_over_more_files_are_late_also_when_all_closes_at_the_end() {
    let mut stage = Intervals::new(settings("UTC", CloseAt::End));
    let records = [(Some(1000), true), (Some(400), true), (Some(100), true)];
    assert!(stage.push(batch(&records, 0, 2)).unwrap().is_empty());
    assert_eq!(stage.finish().unwrap().len(), 2);
    let mut again = Intervals::resume(settings("UTC", CloseAt::End), stage.resume_point(), stage.state().clone());
    assert!(again.push(batch(&records, 2, 3)).unwrap().is_empty());
    let closings = again.finish().unwrap();
    assert_eq!(closings.len(), 1);
    assert_eq!(closings[0].tally.late, 1);
}
