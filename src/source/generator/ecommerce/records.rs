//! Records in order of arrival. Each value is split into records whose views add up to it exactly; event times are
//! uniform over the step in whole seconds; a record arrives up to the jitter after its event, so arrival order is
//! slightly out of event order.
//!
//! Late records: with the given rate a record gives 1 to 3 of its views to a straggler of the same event time, which
//! arrives 10 to 40 minutes after the end of the step. Stragglers are small so that a step judged without them is off by
//! no more than noise. Malformed records are extra lines: they carry no views of any value, so sums still hold.
//!
//! One step of records is held at a time, sorted, besides the few that are still on their way. Memory is 32 bytes per
//! record of a step and about 200 per series: 34 MB at 100,000 series and 4 records.

use crate::model::Timestamp;

use super::super::random::{Purpose, Random};
use super::settings::Settings;
use super::values::{SeriesValues, minute_of_day};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLI: i64 = 1_000;
const MILLIS_PER_SECOND: u32 = 1_000;
const MILLION: u32 = 1_000_000;
/// Stragglers have 1 to this many views.
const LATE_VIEWS_MAX: u32 = 3;
/// Stragglers arrive this long after the end of their step ...
const LATE_MIN_MILLIS: u32 = 10 * 60 * 1_000;
/// ... and up to this much later.
const LATE_SPREAD_MILLIS: u32 = 30 * 60 * 1_000;
/// Shares of records of one value differ by up to a factor of three.
const WEIGHT_MIN: u32 = 512;
const WEIGHT_SPREAD: u32 = 1_024;

/// What is wrong with a malformed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The line ends too early.
    Cut,
    /// Views are `"many"`.
    ViewsAreText,
    /// The event time has a thirteenth month.
    ImpossibleTime,
    /// There is no event time.
    NoTime,
    /// The platform is not UTF-8.
    NotUtf8,
}

const FAULTS: [Fault; 5] = [Fault::Cut, Fault::ViewsAreText, Fault::ImpossibleTime, Fault::NoTime, Fault::NotUtf8];

/// What kind of record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Arrives within the jitter.
    InTime,
    /// Arrives 10 to 40 minutes after its step.
    Late,
    /// Cannot be used.
    Malformed(Fault),
}

/// One record, not yet rendered. Records order by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    arrival: Timestamp,
    series: u32,
    event: Timestamp,
    // which of its series and step, so that the order is total
    index: u32,
    views: u32,
    kind: Kind,
}

impl Record {
    /// When it arrives.
    pub fn arrival(&self) -> Timestamp {
        self.arrival
    }

    /// When it happened, in whole seconds.
    pub fn event_time(&self) -> Timestamp {
        self.event
    }

    /// Which series, see [`Settings::names`].
    pub fn series(&self) -> u32 {
        self.series
    }

    /// How many views; for a malformed record what it would have said.
    pub fn views(&self) -> u32 {
        self.views
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// All records in order of arrival.
#[derive(Clone, Debug)]
pub struct Records {
    settings: Settings,
    series: Vec<SeriesRecords>,
    step: u64,
    /// Sorted; those before `next` are gone, those before `ready` precede everything of later steps.
    pending: Vec<Record>,
    next: usize,
    ready: usize,
}

impl Records {
    /// From the first step on.
    pub fn new(settings: Settings) -> Records {
        let series = (0..settings.series_count()).map(|series| SeriesRecords::new(&settings, series)).collect();
        Records { settings, series, step: 0, pending: Vec::new(), next: 0, ready: 0 }
    }

    /// What they are made by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next record, without taking it.
    pub fn peek(&mut self) -> Option<Record> {
        while self.next == self.ready {
            if self.step == self.settings.steps() {
                return None;
            }
            self.fill();
        }
        self.pending.get(self.next).copied()
    }

    /// Makes the records of the next step and sorts them among those that are still on their way.
    fn fill(&mut self) {
        self.pending.drain(..self.next);
        self.next = 0;
        let step = Step::new(&self.settings, self.step);
        for series in &mut self.series {
            series.advance(&self.settings, &step, &mut self.pending);
        }
        self.pending.sort_unstable();
        self.step += 1;
        self.ready = if self.step == self.settings.steps() {
            self.pending.len()
        } else {
            self.pending.partition_point(|record| record.arrival < step.end)
        };
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = self.peek()?;
        self.next += 1;
        Some(record)
    }
}

/// What the records of one step have in common.
struct Step {
    start: Timestamp,
    end: Timestamp,
    seconds: u32,
    minute_of_day: f64,
}

impl Step {
    fn new(settings: &Settings, step: u64) -> Step {
        let interval = settings.interval(step);
        let start = Timestamp::MIN
            .saturating_add_micros(interval.start().and_utc().timestamp_micros() - Timestamp::MIN.micros());
        Step {
            start,
            end: start.saturating_add_micros(interval.length().micros()),
            seconds: interval.length().seconds(),
            minute_of_day: minute_of_day(interval),
        }
    }
}

/// One series: its values and what its records are drawn from.
#[derive(Clone, Debug)]
struct SeriesRecords {
    series: u32,
    values: SeriesValues,
    records: Random,
    faults: Random,
}

impl SeriesRecords {
    fn new(settings: &Settings, series: u32) -> SeriesRecords {
        let random = |purpose| Random::new(settings.seed(), settings.names(series), purpose);
        SeriesRecords {
            series,
            values: SeriesValues::new(settings, series),
            records: random(Purpose::Records),
            faults: random(Purpose::Faults),
        }
    }

    fn advance(&mut self, settings: &Settings, step: &Step, out: &mut Vec<Record>) {
        let (views, _) = self.values.advance(settings, step.minute_of_day);
        let first = out.len();
        self.split(settings, step, views, out);
        for place in first..out.len() {
            self.spoil(settings, step, place, out);
        }
    }

    /// Records in time whose views add up to `views`: one of 0 for 0, else records of 1 view or more.
    fn split(&mut self, settings: &Settings, step: &Step, views: u32, out: &mut Vec<Record>) {
        let wanted = 1 + self.records.below_u32(2 * settings.records_mean() - 1);
        let count = wanted.min(views).max(1);
        let spare = u64::from(views.saturating_sub(count));
        let least = views.min(1);
        let first = out.len();
        let mut total = 0_u64;
        for index in 0..count {
            let record = self.in_time(settings, step, index);
            total += u64::from(record.views);
            out.push(record);
        }
        // shares of `spare` by weight, rounded so that their running sums are the rounded running sums
        let (mut weight, mut given) = (0_u64, 0_u64);
        for record in &mut out[first..] {
            weight += u64::from(record.views);
            let sum = spare * weight / total;
            record.views = least + u32::try_from(sum - given).unwrap_or(u32::MAX);
            given = sum;
        }
    }

    /// A record whose views are still a weight.
    fn in_time(&mut self, settings: &Settings, step: &Step, index: u32) -> Record {
        let event = event(&mut self.records, step);
        let arrival = jitter(&mut self.records, settings, event);
        let views = WEIGHT_MIN + self.records.below_u32(WEIGHT_SPREAD);
        Record { arrival, series: self.series, event, index, views, kind: Kind::InTime }
    }

    /// Perhaps takes a straggler from the record at `place`, perhaps adds a malformed one.
    fn spoil(&mut self, settings: &Settings, step: &Step, place: usize, out: &mut Vec<Record>) {
        let late = self.faults.below_u32(MILLION) < settings.late_per_million();
        let malformed = self.faults.below_u32(MILLION) < settings.malformed_per_million();
        let index = u32::try_from(out.len()).unwrap_or(u32::MAX);
        if late && out[place].views > 1 {
            let views = (1 + self.faults.below_u32(LATE_VIEWS_MAX)).min(out[place].views - 1);
            out[place].views -= views;
            let after = LATE_MIN_MILLIS + self.faults.below_u32(LATE_SPREAD_MILLIS);
            let arrival = later(step.end, after);
            out.push(Record { arrival, index, views, kind: Kind::Late, ..out[place] });
        }
        if malformed {
            let event = event(&mut self.faults, step);
            let arrival = jitter(&mut self.faults, settings, event);
            let views = 1 + self.faults.below_u32(99);
            let fault = FAULTS[self.faults.below_u32(5) as usize];
            out.push(Record { arrival, series: self.series, event, index, views, kind: Kind::Malformed(fault) });
        }
    }
}

/// A whole second of the step.
fn event(random: &mut Random, step: &Step) -> Timestamp {
    step.start.saturating_add_micros(i64::from(random.below_u32(step.seconds)) * MICROS_PER_SECOND)
}

fn jitter(random: &mut Random, settings: &Settings, event: Timestamp) -> Timestamp {
    later(event, random.below_u32(settings.jitter_seconds_max() * MILLIS_PER_SECOND + 1))
}

fn later(time: Timestamp, millis: u32) -> Timestamp {
    time.saturating_add_micros(i64::from(millis) * MICROS_PER_MILLI)
}
