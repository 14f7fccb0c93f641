//! Rows that came late: what becomes of the incidents of which they change an anomaly.
//!
//! An anomaly is part of an incident where it is in one of its slices, of its measure and side, in an interval since the
//! incident was first seen. An incident of which all are withdrawn did not happen: its line says so, and nothing more is
//! told of it, unless there are others later.
//!
//! What late rows change is in lines of their own and in no other one: all others say what came in time, as a backtest
//! over partitions does (D1). They have the revision of the line that they correct.

use super::life::Life;
use super::slice::{Lies, Slice};
use super::{Incidents, incident, words};
use crate::model::{
    Dimensions, Direction, EndReason, IncidentChanges, IncidentState, Interval, LateFindings, Notice, NoticeKind,
};

/// What became of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// By how much the value of the series changed, where the values of the measure's series add up; else none.
    pub by: Option<f64>,
}

impl Life {
    /// Takes a verdict that late rows have changed or confirmed; `now` is the last interval that was judged.
    pub(super) fn take_late(&mut self, late: &Late<'_>, names: &[String], now: i64) {
        let at = late.interval.number();
        if !(self.first..=now).contains(&at) {
            return;
        }
        let series = Slice::of(late.dimensions, names);
        for number in 0..self.parts.len() {
            let part = &mut self.parts[number];
            let is_in = matches!(series.lies(&part.slice), Lies::Same | Lies::Within);
            if part.measure != late.measure || part.direction != late.direction || !is_in {
                continue;
            }
            match late.became {
                Became::Confirmed => self.late.confirmed += 1,
                Became::Withdrawn => self.late.withdrawn += 1,
                Became::Raised => {
                    self.late.raised += 1;
                    self.anomalies += 1;
                }
            }
            let Some(by) = late.by else { continue };
            if at == now {
                part.shown[0] += by;
            }
            if number == 0 {
                self.retrack(now - at, by);
            }
        }
    }

    /// Whether late rows have withdrawn all that it consists of.
    fn is_nothing(&self) -> bool {
        self.anomalies > 0 && self.late.withdrawn >= self.anomalies
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
        for life in &mut self.state.lives {
            let mut revised = life.clone();
            late.iter().for_each(|late| revised.take_late(late, &self.settings.dimensions, last));
            if revised.late == life.late {
                continue;
            }
            let was_withdrawn = std::mem::replace(&mut life.is_withdrawn, revised.is_nothing());
            (life.late, life.anomalies) = (revised.late, revised.anomalies);
            if life.opened.is_none() {
                continue;
            }
            let mut line = incident(&revised, &self.settings, with);
            line.late = life.late;
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

/// A notice that a backtest over partitions does not give, beside those that it does.
pub(super) fn notice(line: &crate::model::Incident, kind: NoticeKind) -> Notice {
    let LateFindings { confirmed, withdrawn, raised } = line.late;
    let notice = words::notice(line, kind);
    Notice { id: format!("{}-late-{}", notice.id, confirmed + withdrawn + raised), ..notice }
}
