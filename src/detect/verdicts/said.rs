//! What was said of one series in one interval, and what becomes of it with another value.

use crate::detect::fleet;
use crate::detect::judgement::{Judgement, State};
use crate::detect::margin::Margin;
use crate::detect::settings::{Aggregation, Measure};
use crate::detect::severity::severity;
use crate::detect::snapshot::{Codec, Reader, SnapshotError, Writer, codec};
use crate::detect::sparse::Given;

/// What a revision does to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was anomalous and is.
    Confirmed,
    /// It was anomalous and is not.
    Withdrawn,
    /// It was normal and is not.
    Raised,
}

/// The state of a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said {
    /// Nothing was said, and nothing will be.
    Nothing,
    /// The same, of a measure that others follow from: its value is known, and made of so many rows.
    Known(Option<f64>, u64),
    Normal(Band),
    Anomalous(Band, Anomaly),
}

/// A value, and what it was held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    value: Option<f64>,
    /// Rows with a value.
    rows: u64,
    expected: f64,
    lower: f64,
    upper: f64,
}

// there is one of these for every series and interval that is remembered: small numbers take few bytes
impl Codec for Band {
    fn write(&self, to: &mut Writer) {
        let Band { value, rows, expected, lower, upper } = self;
        value.write(to);
        to.small(*rows);
        [*expected, *lower, *upper].write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Band, SnapshotError> {
        let (value, rows) = (Option::read(from)?, from.small()?);
        let [expected, lower, upper] = <[f64; 3]>::read(from)?;
        Ok(Band { value, rows, expected, lower, upper })
    }
}

/// What an anomalous interval is part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Anomaly {
    pub(in crate::detect) high: bool,
    /// Number of its first interval.
    pub(in crate::detect) since: i64,
    pub(in crate::detect) severity: f64,
}

codec!(Anomaly { high, since, severity });

/// What became of one verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::detect) struct Revision {
    pub(in crate::detect) outcome: Outcome,
    pub(in crate::detect) before: Option<f64>,
    pub(in crate::detect) value: f64,
    pub(in crate::detect) expected: f64,
    pub(in crate::detect) lower: f64,
    pub(in crate::detect) upper: f64,
    /// The anomaly as it was told, none where there was none.
    pub(in crate::detect) told: Option<Anomaly>,
    /// What the revised value is by itself.
    pub(in crate::detect) high: bool,
    pub(in crate::detect) severity: f64,
}

impl Said {
    pub(super) fn of(said: &fleet::Said, rows: u64, measure: &Measure) -> Said {
        let fleet::Said { value, judgement, is_judged } = *said;
        let nothing = if measure.is_operand() { Said::Known(value, rows) } else { Said::Nothing };
        if !is_judged || measure.is_counter() {
            return nothing;
        }
        let Judgement { expected, lower, upper, has_scale, severity, state, .. } = judgement;
        let band = Band { value, rows, expected, lower, upper };
        match state {
            State::Learning { .. } => nothing,
            State::Normal if upper > lower && has_scale => Said::Normal(band),
            State::Normal => nothing,
            State::Anomalous { high, since } => Said::Anomalous(band, Anomaly { high, since, severity }),
        }
    }

    /// Adds late rows to interval `number`.
    pub(super) fn revise(&mut self, number: i64, late: Given, measure: &Measure) -> Option<Revision> {
        if let Said::Known(value, rows) = self {
            let known = joined(Given { value: *value, rows: *rows }, late, measure.aggregation())?;
            (*value, *rows) = (known.value, known.rows);
            return None;
        }
        let (revised, value) = self.band()?.with(late, measure.aggregation())?;
        self.replace(number, revised, value, measure)
    }

    /// The value that it rests on, if it is remembered; as much as the rows so far have brought.
    pub(super) fn given(&self) -> Option<Given> {
        match self {
            Said::Nothing => None,
            Said::Known(value, rows) => Some(Given { value: *value, rows: *rows }),
            Said::Normal(band) | Said::Anomalous(band, _) => Some(Given { value: band.value, rows: band.rows }),
        }
    }

    fn band(&self) -> Option<Band> {
        match self {
            Said::Nothing | Said::Known(..) => None,
            Said::Normal(band) | Said::Anomalous(band, _) => Some(*band),
        }
    }

    /// Puts another value of interval `number` in, that of a measure that follows from others.
    pub(super) fn rework(&mut self, number: i64, now: Given, measure: &Measure) -> Option<Revision> {
        let (band, value) = (self.band()?, now.value?);
        let is_new = band.value.is_none_or(|before| before.total_cmp(&value).is_ne());
        let revised = Band { value: Some(value), rows: now.rows, ..band };
        if is_new { self.replace(number, revised, value, measure) } else { None }
    }

    /// Holds a revised value against the band.
    fn replace(&mut self, number: i64, revised: Band, value: f64, measure: &Measure) -> Option<Revision> {
        let (aggregation, margin) = (measure.aggregation(), measure.margin());
        let band = self.band()?;
        let told = if let Said::Anomalous(_, anomaly) = self { Some(*anomaly) } else { None };
        let judged = revised.judge(value, margin);
        let Judgement { expected, lower, upper, severity, .. } = judged;
        let (high, since) = (value >= expected, told.map_or(number, |told| told.since));
        let now = Anomaly { high, since, severity };
        let was_off = |value| is_off(&band.judge(value, margin));
        let was_outside = match told {
            // that nothing came may be the anomaly
            Some(_) => band.value.is_none_or(was_off),
            None => band.compared(aggregation).is_some_and(was_off),
        };
        let (outcome, said) = match (told, is_off(&judged)) {
            (Some(_), true) => (Some(Outcome::Confirmed), Said::Anomalous(revised, now)),
            (Some(_), false) if was_outside => (Some(Outcome::Withdrawn), Said::Normal(revised)),
            (Some(told), false) => (None, Said::Anomalous(revised, told)),
            (None, true) if !was_outside => (Some(Outcome::Raised), Said::Anomalous(revised, now)),
            (None, _) => (None, Said::Normal(revised)),
        };
        *self = said;
        let before = band.value;
        outcome.map(|outcome| Revision { outcome, before, value, expected, lower, upper, told, high, severity })
    }
}

impl Band {
    /// The value that is held against the band, if any.
    fn compared(&self, aggregation: Aggregation) -> Option<f64> {
        self.value.or(aggregation.empty_is_zero().then_some(0.0))
    }

    /// What a value by itself is here, as for one that came in time: outside the band and the margins it is anomalous.
    fn judge(&self, value: f64, margin: Margin) -> Judgement {
        let Band { expected, lower, upper, .. } = *self;
        let high = value >= expected;
        let width = if high { upper - expected } else { expected - lower };
        let severity = severity((value - expected).abs() / width.max(f64::MIN_POSITIVE));
        let is_outside = value < lower || value > upper;
        let state = if is_outside { State::Anomalous { high, since: 0 } } else { State::Normal };
        margin.told(Judgement { expected, lower, upper, has_scale: true, score: 0.0, severity, state }, value, 0.0)
    }

    /// With late rows, and the value of all; none where the rows have no value.
    fn with(&self, late: Given, aggregation: Aggregation) -> Option<(Band, f64)> {
        let Given { value, rows } = joined(Given { value: self.value, rows: self.rows }, late, aggregation)?;
        value.map(|known| (Band { value, rows, ..*self }, known))
    }
}

fn is_off(judgement: &Judgement) -> bool {
    matches!(judgement.state, State::Anomalous { .. })
}

/// What rows bring together that came one after the other; none where the later ones have no value.
#[expect(clippy::cast_precision_loss, reason = "counts of one interval stay far below 2^53")]
pub(super) fn joined(first: Given, late: Given, aggregation: Aggregation) -> Option<Given> {
    let added = late.value.filter(|_| late.rows > 0)?;
    let rows = first.rows.saturating_add(late.rows);
    let value = match (first.value, aggregation) {
        // it is worked out when those that it follows from have been joined, or is not known
        (_, aggregation) if !aggregation.is_joinable() => return None,
        (None, _) => added,
        (Some(value), Aggregation::Sum | Aggregation::Count) => value + added,
        (Some(value), Aggregation::Avg) => value + (added - value) * (late.rows as f64 / rows as f64),
        (Some(value), Aggregation::Min) => value.min(added),
        (Some(value), Aggregation::Max) => value.max(added),
        (Some(_), Aggregation::Distinct | Aggregation::Percentile(_) | Aggregation::Expression) => return None,
    };
    Some(Given { value: Some(value.clamp(f64::MIN, f64::MAX)), rows })
}

impl Codec for Said {
    fn write(&self, to: &mut Writer) {
        match self {
            Said::Nothing => 0u8.write(to),
            Said::Normal(band) => {
                1u8.write(to);
                band.write(to);
            }
            Said::Anomalous(band, anomaly) => {
                2u8.write(to);
                band.write(to);
                anomaly.write(to);
            }
            Said::Known(value, rows) => {
                3u8.write(to);
                value.write(to);
                to.small(*rows);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Said, SnapshotError> {
        match u8::read(from)? {
            0 => Ok(Said::Nothing),
            1 => Band::read(from).map(Said::Normal),
            2 => Ok(Said::Anomalous(Band::read(from)?, Anomaly::read(from)?)),
            3 => Ok(Said::Known(Option::read(from)?, from.small()?)),
            _ => Err(SnapshotError::Inconsistent("a verdict")),
        }
    }
}

#[cfg(test)]
mod tests;
