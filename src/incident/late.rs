//! Rows that came late: what becomes of the incidents of which they change an anomaly.
//!
//! An anomaly is part of an incident where it is in one of its slices, of its measure and side, in an interval in which the
//! incident counted those that came in time: not in one in which the data did not come, nor after its end. An incident of which all are withdrawn did not happen: its line says so, and nothing more is
//! told of it, unless there are others later.
//!
//! What late rows change is in lines of their own and in no other one: all others say what came in time, as a backtest
//! over partitions does (D1). They have the revision of the line that they correct.

use serde::{Deserialize, Serialize};

use super::life::Life;
use super::slice::{Lies, Slice};
use super::{Incidents, incident, words};
use crate::model::{
    Dimensions, Direction, EndReason, Incident, IncidentChanges, IncidentState, Interval, LateFindings, Notice,
    NoticeKind,
};

/// What became of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Became {
    /// It is one with the late rows too.
    Confirmed,
    /// It is none with the late rows.
    Withdrawn,
    /// It is one with the late rows alone.
    Raised,
}

/// A verdict about one series in one interval, held against its late rows.
#[derive(Clone, Copy, Debug)]
pub struct Late<'a> {
    /// The interval.
    pub interval: Interval,
    /// The measure.
    pub measure: &'a str,
    /// The series.
    pub dimensions: &'a Dimensions,
    /// Side of the anomaly.
    pub direction: Direction,
    /// What became of it.
    pub became: Became,
    /// The value before and with these rows, where the values of the measure's series add up.
    pub values: Option<[f64; 2]>,
}

/// What late rows have made of one verdict so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Revised {
    became: Became,
    /// The interval, the part that it is in, and what the value has grown by.
    at: i64,
    part: usize,
    by: f64,
}

/// Verdicts of which late rows are remembered, of one incident and of all; one that has more is never withdrawn.
const REVISED_MAX: usize = 4096;
const REVISED_ALL_MAX: usize = 50_000;

impl Life {
    /// Takes a verdict that late rows have changed or confirmed; `room` is for so many more. Whether it is one of this
    /// incident.
    fn take_late(&mut self, late: &Late<'_>, names: &[String], room: &mut usize) -> bool {
        let at = late.interval.number();
        if !self.has_counted(at) {
            return false;
        }
        let series = Slice::of(late.dimensions, names);
        let bytes: Vec<u8> = late.measure.bytes().chain([0xfd]).chain(series.bytes()).collect();
        let mut is_ours = false;
        for (number, part) in self.parts.iter().enumerate() {
            let Some(slice) = part.slice_at(at) else { continue };
            let is_in = matches!(series.lies(slice), Lies::Same | Lies::Within);
            if part.measure != late.measure || part.direction != late.direction || !is_in {
                continue;
            }
            let key = format!("{number}-{at}-{:08x}", crc32fast::hash(&bytes));
            let before = self.revised.get(&key).copied();
            if before.is_none() && (self.revised.len() >= REVISED_MAX || *room == 0) {
                continue;
            }
            *room -= usize::from(before.is_none());
            is_ours = true;
            let became = match (before.map(|before| before.became), late.became) {
                // it was none in time
                (Some(Became::Raised), Became::Withdrawn) => {
                    self.revised.remove(&key);
                    continue;
                }
                (Some(Became::Raised), Became::Confirmed) => Became::Raised,
                // and here it was one
                (Some(Became::Withdrawn), Became::Raised) => Became::Confirmed,
                (_, became) => became,
            };
            let by = late.values.map_or(0.0, |[before, value]| value - before) + before.map_or(0.0, |before| before.by);
            self.revised.insert(key, Revised { became, at, part: number, by });
        }
        is_ours
    }

    /// What late rows have made of its anomalies.
    pub(super) fn late(&self) -> LateFindings {
        let count = |became| self.revised.values().filter(|revised| revised.became == became).count() as u64;
        LateFindings {
            confirmed: count(Became::Confirmed),
            withdrawn: count(Became::Withdrawn),
            raised: count(Became::Raised),
        }
    }

    /// Whether late rows have withdrawn all that it consists of.
    fn is_nothing(&self) -> bool {
        let late = self.late();
        self.anomalies > 0 && late.withdrawn >= self.anomalies && late.raised == 0
    }

    /// The same with the values as they are with the late rows.
    fn corrected(&self) -> Life {
        let mut corrected = self.clone();
        for Revised { at, part, by, .. } in self.revised.values() {
            if let Some(part) = corrected.parts.get_mut(*part).filter(|part| part.shown_at == Some(*at)) {
                part.shown[0] += by;
            }
            if *part == 0 {
                corrected.retrack(*at, *by);
            }
        }
        corrected
    }

    /// Whether there is something of it after all: anomalies that came since it was withdrawn.
    pub(super) fn is_back(&mut self) -> bool {
        let is_back = self.is_withdrawn && !self.is_nothing();
        self.is_withdrawn &= !is_back;
        is_back
    }
}

impl Incidents {
    /// Takes in what late rows, which left the line with an interval, made of earlier verdicts.
    pub fn revise(&mut self, with: Interval, late: &[Late<'_>]) -> IncidentChanges {
        let mut changes = IncidentChanges::default();
        let Some(last) = self.state.last.filter(|_| !late.is_empty()) else { return changes };
        let remembered: usize = self.state.lives.iter().map(|life| life.revised.len()).sum();
        let mut room = REVISED_ALL_MAX.saturating_sub(remembered);
        for life in &mut self.state.lives {
            let names = &self.settings.dimensions;
            let ours = late.iter().filter(|late| life.take_late(late, names, &mut room)).count();
            if ours == 0 {
                continue;
            }
            let is_nothing = life.is_nothing();
            let was_withdrawn = std::mem::replace(&mut life.is_withdrawn, is_nothing);
            if life.opened.is_none() {
                continue;
            }
            let mut line = Incident { late: life.late(), ..incident(&life.corrected(), &self.settings, with) };
            if life.is_withdrawn {
                line.end_reason = Some(EndReason::Withdrawn);
                if line.is_live() {
                    line.state = IncidentState::Resolved;
                    line.until = Some(with.offset(last + 1 - with.number()).start());
                }
            }
            let is_told = life.told.is_some() && life.silenced.is_none() && life.is_live();
            if is_told && life.is_withdrawn && !was_withdrawn {
                changes.notices.push(notice(&line, NoticeKind::Withdrawn));
            }
            changes.incidents.push(line);
        }
        changes
    }
}

/// That an incident is told again, of which late rows had withdrawn all there was.
pub(super) fn again(life: &Life, line: Incident) -> Notice {
    notice(&Incident { late: life.late(), ..line }, NoticeKind::Opened)
}

/// A notice that a backtest over partitions does not give, beside those that it does.
fn notice(line: &Incident, kind: NoticeKind) -> Notice {
    let LateFindings { confirmed, withdrawn, raised } = line.late;
    let notice = words::notice(line, kind);
    Notice { id: format!("{}-late-{}", notice.id, confirmed + withdrawn + raised), ..notice }
}
