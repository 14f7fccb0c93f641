//! A lane for each shard: in which order shards are read changes nothing, also over a restart, a split, a merge, and
//! watermarks raised over silent shards.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// `A` splits into `B` and `C`, which merge into `D`; `E` stands alone.
const SHARDS: [(&str, &[usize], &[&str]); 5] =
    [("A", &[], &["B", "C"]), ("B", &[0], &["D"]), ("C", &[0], &["D"]), ("D", &[1, 2], &[]), ("E", &[], &[])];
/// Values say which shard they come from.
const SHARD_VALUES: usize = 1000;

/// What happens next: a shard is read on, or the first open interval is closed over those of these shards that are silent.
#[derive(Clone, Debug)]
enum Step {
    Read { choice: usize, records: usize },
    Raise { silent: [bool; 5] },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..5usize, 1..40usize).prop_map(|(choice, records)| Step::Read { choice, records }),
        1 => any::<[bool; 5]>().prop_map(|silent| Step::Raise { silent }),
    ];
    prop::collection::vec(step, 0..60)
}

/// Records of the five shards; those that come later in the tree carry later event times.
fn shards() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let later = [0, 3000, 2500, 9000, 500];
    prop::collection::vec(stream(), 5).prop_map(move |mut shards| {
        for (records, later) in shards.iter_mut().zip(later) {
            records.iter_mut().for_each(|record| record.0 = record.0.map(|time| time + later));
        }
        shards
    })
}

fn lanes() -> Settings {
    Settings { lanes: Lanes::PerPartition, ..settings("UTC", CloseAt::Watermark) }
}

fn named(shard: usize) -> SourcePartition {
    SourcePartition::new(SHARDS[shard].0)
}

/// Reads five shards, parents before children.
struct Reader<'a> {
    shards: &'a [Vec<Record>],
    at: [Option<usize>; 5],
    cuts: BTreeMap<SourcePartition, Vec<usize>>,
}

impl<'a> Reader<'a> {
    fn resume(shards: &'a [Vec<Record>], point: &ResumePoint) -> Reader<'a> {
        let at = std::array::from_fn(|shard| match point.progress.get(&named(shard)) {
            Some(Position::End) => None,
            Some(Position::Offset(offset)) => Some(offset as usize),
            _ => Some(0),
        });
        let mut cuts: BTreeMap<SourcePartition, Vec<usize>> = BTreeMap::new();
        for (partition, position) in point.raises.iter().flat_map(|raise| raise.at.iter()) {
            cuts.entry(partition.clone()).or_default().extend(position.offset().map(|offset| offset as usize));
        }
        Reader { shards, at, cuts }
    }

    fn readable(&self) -> Vec<usize> {
        let ended = |shard: &usize| self.at[*shard].is_none();
        (0..5).filter(|shard| !ended(shard) && SHARDS[*shard].1.iter().all(ended)).collect()
    }

    /// The next batch of one of the shards that can be read; none once all have ended.
    fn next(&mut self, choice: usize, records: usize) -> Option<Batch> {
        let readable = self.readable();
        let shard = *readable.get(choice % readable.len().max(1))?;
        let (from, whole) = (self.at[shard]?, self.shards[shard].len());
        let cuts = self.cuts.get(&named(shard)).into_iter().flatten();
        let cut = cuts.filter(|cut| **cut > from).min().copied().unwrap_or(whole);
        let to = (from + records).min(cut).min(whole);
        self.at[shard] = (to < whole).then_some(to);
        let mut batch = batch_of(named(shard), &self.shards[shard], from, to, shard * SHARD_VALUES);
        if to == whole {
            batch.chunk.read_to = Position::End;
            batch.chunk.successors = SHARDS[shard].2.iter().map(|name| SourcePartition::new(name)).collect();
        }
        Some(batch)
    }
}

/// Follows the steps, then reads all the rest; gives what closed in each step, with the raises and a resume point made
/// after each.
struct Told {
    closings: Vec<Vec<String>>,
    raises: Vec<Vec<Raise>>,
    points: Vec<(ResumePoint, State)>,
}

fn follow(stage: &mut Intervals, reader: &mut Reader<'_>, steps: &[Step]) -> Told {
    let mut told = Told { closings: Vec::new(), raises: Vec::new(), points: Vec::new() };
    let rest = std::iter::repeat(Step::Read { choice: 0, records: 50 });
    let mut following = steps.iter().cloned().chain(rest);
    loop {
        told.points.push((stage.resume_point(), stage.done()));
        let mut raises = Vec::new();
        let closings = match following.next() {
            Some(Step::Read { choice, records }) => match reader.next(choice, records) {
                Some(batch) => stage.push(batch).unwrap(),
                None => break,
            },
            Some(Step::Raise { silent }) => {
                let is_silent = |lane: &SourcePartition| (0..5).any(|shard| silent[shard] && named(shard) == *lane);
                raises = stage.plan(is_silent, Timestamp::MAX);
                stage.raise(raises.clone()).unwrap()
            }
            None => break,
        };
        assert_eq!(stage.state().read, stage.replayed() + stage.held() + left(&told.closings) + records_of(&closings));
        told.closings
            .push(closings.iter().map(|closing| format!("{}|{}", closing.tally.read(), show(closing))).collect());
        told.raises.push(raises);
    }
    let last = stage.finish().unwrap();
    told.closings.push(last.iter().map(|closing| format!("{}|{}", closing.tally.read(), show(closing))).collect());
    told.raises.push(Vec::new());
    told
}

fn records_of(closings: &[Closing]) -> u64 {
    closings.iter().map(|closing| closing.tally.read()).sum()
}

fn left(shown: &[Vec<String>]) -> u64 {
    shown.iter().flatten().map(|shown| shown.split_once('|').unwrap().0.parse::<u64>().unwrap()).sum()
}

fn begun() -> Intervals {
    let mut stage = Intervals::new(lanes());
    let mut progress = Progress::default();
    progress.set(named(0), Position::Start);
    progress.set(named(4), Position::Start);
    assert!(stage.begin(&progress, Timestamp::MAX));
    assert!(!stage.begin(&progress, Timestamp::MAX), "they are known");
    stage
}

proptest! {
    #[test]
    fn the_order_of_reading_changes_nothing(shards in shards(), one in steps(), two in steps()) {
        let reads = |steps: &[Step]| steps.iter().filter(|step| matches!(step, Step::Read { .. })).cloned().collect::<Vec<_>>();
        let told = [one, two].map(|steps| {
            let mut stage = begun();
            let mut reader = Reader::resume(&shards, &ResumePoint::default());
            let told = follow(&mut stage, &mut reader, &reads(&steps));
            (told.closings.concat(), stage.state().sequence, stage.state().read)
        });
        prop_assert_eq!(&told[0], &told[1]);
        let all: usize = shards.iter().map(Vec::len).sum();
        prop_assert_eq!(told[0].2, all as u64);
    }

    #[test]
    fn a_stage_that_resumes_in_another_order_gives_the_rest(
        shards in shards(), one in steps(), two in steps(), three in steps(), stop in 0..1000usize, again in 0..1000usize,
    ) {
        let mut stage = begun();
        let mut reader = Reader::resume(&shards, &ResumePoint::default());
        let told = follow(&mut stage, &mut reader, &one);
        let stop = stop % told.points.len();
        let (mut point, done) = told.points[stop].clone();
        // what was raised after that moment had been written down when the job was killed
        point.raises.extend(told.raises[stop..].concat());
        let reads = |steps: Vec<Step>| -> Vec<Step> {
            steps.into_iter().filter(|step| matches!(step, Step::Read { .. })).collect()
        };
        let mut resumed = Intervals::resume(lanes(), point.clone(), done);
        let mut reader = Reader::resume(&shards, &point);
        let second = follow(&mut resumed, &mut reader, &reads(two));
        prop_assert_eq!(second.closings.concat(), told.closings[stop..].concat());
        let counts = |stage: &Intervals| (stage.state().sequence, stage.state().read);
        prop_assert_eq!(counts(&resumed), counts(&stage));

        // and once more, perhaps before all was read again that had been read
        let again = again % second.points.len();
        let (point, done) = second.points[again].clone();
        let mut resumed = Intervals::resume(lanes(), point.clone(), done);
        let mut reader = Reader::resume(&shards, &point);
        let third = follow(&mut resumed, &mut reader, &reads(three));
        prop_assert_eq!(third.closings.concat(), second.closings[again..].concat());
        prop_assert_eq!(counts(&resumed), counts(&stage));
    }
}

#[test]
fn an_interval_waits_for_every_lane_until_it_is_raised() {
    let mut stage = begun();
    let now = 1_600_000_000;
    let records = [(Some(now), true), (Some(now + 3600), true)];
    let push = |stage: &mut Intervals, shard: usize| stage.push(batch_of(named(shard), &records, 0, 2, 0)).unwrap();
    assert_eq!(push(&mut stage, 0).len(), 0, "`E` may still bring rows");
    let silent = |lane: &SourcePartition| *lane == named(4);
    assert_eq!(stage.plan(|_| false, Timestamp::MAX), []);
    let raises = stage.plan(silent, Timestamp::MIN);
    assert_eq!(raises.len(), 1, "all that is not silent has passed the interval, whatever the clock says");
    assert_eq!(stage.raise(raises).unwrap().len(), 1);
    let closings = push(&mut stage, 4);
    assert_eq!(closings.len(), 1, "its first row is late; its second passes the interval on which that one rides");
    assert_eq!(closings[0].tally, Tally { late: 1, ..Tally::default() });
}

/// A shard on its own: `records`, of which those from `from` on are read.
fn read_alone(stage: &mut Intervals, records: &[Record], from: usize, to: usize) -> Vec<Closing> {
    stage.push(batch_of(named(0), records, from, to, 0)).unwrap()
}

#[test]
fn a_row_that_comes_too_late_is_late_also_after_records_before_it_are_gone() {
    let mut progress = Progress::default();
    progress.set(named(0), Position::Start);
    let now = 1_600_000_000;
    // the third closes the interval of the first two; the fourth, never read before, belongs to that one
    let records = [now, now + 1, now + 900, now + 2, now + 3600].map(|time| (Some(time), true));
    let mut stage = Intervals::new(lanes());
    stage.begin(&progress, Timestamp::MAX);
    assert_eq!(read_alone(&mut stage, &records, 0, 1).len(), 0);
    assert_eq!(read_alone(&mut stage, &records, 1, 3).len(), 1);
    // the checkpoint is the one before the closing, the account the one after it
    let mut point = Intervals::new(lanes());
    point.begin(&progress, Timestamp::MAX);
    read_alone(&mut point, &records, 0, 1);
    let mut point = point.resume_point();
    point.read_to.set(named(0), Position::Offset(3));
    let mut resumed = Intervals::resume(lanes(), point, stage.done());
    // the stream kept nothing of what was read
    let closings = read_alone(&mut resumed, &records, 3, 5);
    assert_eq!(closings[0].tally, Tally { late: 1, ..Tally::default() });
    assert_eq!(resumed.replayed(), 0);
}

#[test]
fn the_first_event_time_of_a_shard_is_not_believed_where_it_lies_far_ahead_of_the_clock() {
    let now = 1_600_000_000;
    let mut stage = Intervals::new(lanes());
    let mut progress = Progress::default();
    progress.set(named(0), Position::Start);
    stage.begin(&progress, Timestamp::from_micros(now * SECOND).unwrap());
    let records = [now + 400 * 86_400, now - 60, now].map(|time| (Some(time), true));
    let closings = read_alone(&mut stage, &records, 0, 3);
    let tally = closings.into_iter().chain(stage.finish().unwrap()).fold(Tally::default(), |mut sum, closing| {
        sum.add(&closing.tally);
        sum
    });
    assert_eq!(tally, Tally { written: 2, rejected: 1, ..Tally::default() });
}

#[test]
fn a_lane_is_behind_where_it_holds_open_what_another_one_has_passed() {
    let mut intervals = Intervals::new(lanes());
    let at = |seconds: i64| Timestamp::from_micros(seconds * SECOND).unwrap();
    let mut push = |shard: usize, times: &[i64]| {
        let records: Vec<Record> = times.iter().map(|time| (Some(*time), true)).collect();
        let batch = batch_of(named(shard), &records, times.len() - 1, times.len(), 0);
        intervals.push(batch).unwrap();
        let behind = |least| intervals.behind(at(least)).map(|(interval, lanes)| (interval.number(), lanes));
        (behind(0), behind(100_000))
    };
    assert_eq!(push(0, &[100]).0, None, "it is the only one");
    let (behind, live) = push(4, &[1000]);
    assert_eq!((behind, live), (Some((0, vec![named(0)])), None), "the other one is not near the clock");
    // a record of the same lane, further on, closes the interval
    assert_eq!(push(0, &[100, 1000]).0, None);
}
