//! A detector from its increments. They are taken in order, one at a time: the members that are there by then do again
//! what the increment says was done, with the parents and the changes of form as they were; then the members of its own
//! range are put in.

use std::collections::BTreeMap;

use super::journal::{Journal, Record};
use super::round::Round;
use crate::detect::arrival::Arrival;
use crate::detect::detector::Detector;
use crate::detect::fleet::{Member, Moment};
use crate::detect::model::Place;
use crate::detect::series::Series;
use crate::detect::settings::Settings;
use crate::detect::snapshot::{self, Codec, Reader, SnapshotError};
use crate::detect::spread::{Spread, on_each};
use crate::detect::verdicts::{Common, Recent};
use crate::model::{Interval, SeriesKey};

/// No interval is a hundred thousand years away.
const MICROS_MAX: i64 = 3_000_000_000_000_000_000;

/// A detector that is being restored.
#[derive(Debug)]
pub struct Restoring {
    detector: Detector,
    /// None before the first increment.
    journal: Option<Journal>,
    replayed: u64,
}

/// What an increment begins with.
struct Head {
    /// Checksum of the increment before it.
    previous: u32,
    /// Number of the last interval.
    last: Option<i64>,
    /// Tells what was ignored up to then.
    calendars: u32,
}

/// The members of an increment, as bytes.
struct Segment<'a> {
    from: Option<SeriesKey>,
    to: Option<SeriesKey>,
    members: Vec<(SeriesKey, &'a [u8])>,
}

impl Restoring {
    /// Whether an increment is whole and was learned under these settings, without restoring anything.
    ///
    /// # Errors
    /// When it is damaged, of another version, or learned under other settings.
    pub fn check(settings: &Settings, increment: &[u8]) -> Result<(), SnapshotError> {
        let mut from = snapshot::open(settings, increment)?;
        Head::read(&mut from)?.check(settings)
    }

    /// Before the first increment.
    pub fn new(settings: Settings) -> Restoring {
        Restoring { detector: Detector::new(settings), journal: None, replayed: 0 }
    }

    /// Takes the next increment.
    ///
    /// # Errors
    /// When it is damaged, of another version, learned under other settings, or not the next one. Then nothing more can
    /// be made of what was taken.
    pub fn take(&mut self, increment: &[u8], spread: &impl Spread) -> Result<(), SnapshotError> {
        let from = &mut snapshot::open(self.detector.settings(), increment)?;
        let head = Head::read(from)?;
        head.check(self.detector.settings())?;
        let Head { previous, last, .. } = head;
        let totals = Vec::<Series>::read(from)?;
        if !totals.is_empty() && totals.len() != self.measures() {
            return Err(SnapshotError::Inconsistent("a total"));
        }
        let common = Common::read(from)?;
        let segment = Segment::read(from)?;
        let owed = u32::read(from)?;
        let mut round = match self.journal.take() {
            None => Round::beginning(segment.from.clone()),
            Some(before) if before.previous == previous && before.round.cursor() == segment.from.as_ref() => {
                self.replay(from, &before.round, &segment, spread)?;
                before.round
            }
            Some(_) => return Err(SnapshotError::Inconsistent("the order of its increments")),
        };
        self.put(&segment, spread)?;
        round.advance(segment.to);
        self.detector.last = last.map(|number| interval_of(number, self.detector.settings())).transpose()?;
        self.detector.totals = totals;
        self.detector.verdicts.restore(common);
        self.journal = Some(Journal::after(snapshot::checksum(increment), round, owed));
        Ok(())
    }

    /// Steps that were done again so far.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// The detector as it was when it wrote the last increment; its next one goes on from there.
    ///
    /// # Errors
    /// When the increments do not have all series.
    pub fn finish(self) -> Result<Detector, SnapshotError> {
        let journal = self.journal.filter(|journal| journal.round.is_whole());
        let journal = journal.ok_or(SnapshotError::Incomplete)?;
        Ok(Detector { journal: Some(journal), ..self.detector })
    }

    fn measures(&self) -> usize {
        self.detector.fleet.contexts().len()
    }

    /// Does the steps of an increment again with the members that are there, but for those that it has itself.
    fn replay(
        &mut self,
        from: &mut Reader<'_>,
        before: &Round,
        segment: &Segment<'_>,
        spread: &impl Spread,
    ) -> Result<(), SnapshotError> {
        let is_here = |key: &SeriesKey| before.has(key) && !segment.has(key);
        self.detector.fleet.members.retain(|key, _| is_here(key));
        self.detector.verdicts.recent.retain(|key, _| is_here(key));
        let measures = self.measures();
        let are_whole = |arrivals: &[Arrival]| arrivals.iter().all(|arrival| arrival.given.len() == measures);
        let mut last = self.detector.last.map_or(i64::MIN, Interval::number);
        for _ in 0..u64::read(from)? {
            match Record::read(from)? {
                Record::Jump => {
                    self.detector.fleet.jump();
                    self.detector.verdicts.jump();
                }
                Record::Revision { interval, mut arrivals } => {
                    if interval > last || !are_whole(&arrivals) {
                        return Err(SnapshotError::Inconsistent("a revision"));
                    }
                    arrivals.retain(|arrival| is_here(&arrival.key));
                    let measures = self.detector.fleet.settings().measures();
                    self.detector.verdicts.revise((last, interval), &arrivals, measures);
                }
                Record::Step { interval, reach, parents, changes, mut arrivals } => {
                    if parents.len() != measures || !are_whole(&arrivals) {
                        return Err(SnapshotError::Inconsistent("a step"));
                    }
                    arrivals.retain(|arrival| is_here(&arrival.key));
                    let changes: BTreeMap<_, _> = changes.into_iter().filter(|(key, _)| is_here(key)).collect();
                    let place = Place::of(interval_of(interval, self.detector.settings())?);
                    last = interval;
                    let fleet = &mut self.detector.fleet;
                    fleet.admit(&arrivals);
                    if fleet.make(&changes, spread) != changes.len() {
                        return Err(SnapshotError::Inconsistent("a change"));
                    }
                    let moment = Moment { place, arrivals: &arrivals, parents };
                    for said in fleet.judge(&[moment], spread) {
                        self.detector.verdicts.note(&arrivals, &said, fleet.settings().measures(), reach);
                    }
                    self.detector.forget();
                    self.replayed += 1;
                }
            }
        }
        Ok(())
    }

    /// Puts the members of an increment in the place of those in its range.
    fn put(&mut self, segment: &Segment<'_>, spread: &impl Spread) -> Result<(), SnapshotError> {
        let settings = self.detector.settings();
        let undecided = || Err(SnapshotError::Inconsistent("a series"));
        let mut read: Vec<_> = segment.members.iter().map(|(key, bytes)| (key, *bytes, undecided())).collect();
        on_each(spread, &mut read, &|(_, bytes, member)| *member = member_of(bytes, settings));
        let (members, recents) = (&mut self.detector.fleet.members, &mut self.detector.verdicts.recent);
        members.retain(|key, _| !segment.has(key));
        recents.retain(|key, _| !segment.has(key));
        for (key, _, member) in read {
            let (member, recent) = member?;
            members.insert(key.clone(), member);
            recents.insert(key.clone(), recent);
        }
        Ok(())
    }
}

impl Head {
    fn read(from: &mut Reader<'_>) -> Result<Head, SnapshotError> {
        Ok(Head { previous: u32::read(from)?, last: Option::read(from)?, calendars: u32::read(from)? })
    }

    /// Whether these settings ignore the same of the time that the state has seen.
    fn check(&self, settings: &Settings) -> Result<(), SnapshotError> {
        let last = self.last.map(|number| interval_of(number, settings)).transpose()?;
        let now = settings.calendars().mark(last);
        match last {
            Some(last) if now != self.calendars => Err(SnapshotError::Settings {
                name: format!("calendars for the time up to {}", last.end()),
                was: format!("{:08x}", self.calendars),
                is: format!("{now:08x}"),
            }),
            _ => Ok(()),
        }
    }
}

impl<'a> Segment<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Segment<'a>, SnapshotError> {
        let from = Option::<SeriesKey>::read(reader)?;
        let mut members = Vec::new();
        while bool::read(reader)? {
            members.push((SeriesKey::read(reader)?, reader.text()?));
        }
        let to = Option::<SeriesKey>::read(reader)?;
        let segment = Segment { from, to, members };
        let is_in_order = segment.members.is_sorted_by(|a, b| a.0 < b.0);
        if !is_in_order || !segment.members.iter().all(|(key, _)| segment.has(key)) {
            return Err(SnapshotError::Inconsistent("a key"));
        }
        Ok(segment)
    }

    /// Whether a key is in its range.
    fn has(&self, key: &SeriesKey) -> bool {
        self.from.as_ref().is_none_or(|from| from <= key) && self.to.as_ref().is_none_or(|to| key < to)
    }
}

fn member_of(bytes: &[u8], settings: &Settings) -> Result<(Member, Recent), SnapshotError> {
    let mut reader = Reader::of(bytes);
    let (member, recent) = (Member::read(&mut reader)?, Recent::read(&mut reader)?);
    reader.finish()?;
    let fits = member.fits(settings) && recent.fits(settings.measures().len());
    if fits { Ok((member, recent)) } else { Err(SnapshotError::Inconsistent("a series")) }
}

fn interval_of(number: i64, settings: &Settings) -> Result<Interval, SnapshotError> {
    let length = settings.length();
    let micros = number.checked_mul(length.micros()).filter(|micros| micros.abs() < MICROS_MAX);
    let interval = micros.map(|micros| Interval::containing(micros, length));
    interval.ok_or(SnapshotError::Inconsistent("an interval"))
}
