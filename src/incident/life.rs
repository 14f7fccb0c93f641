//! One incident from its first sign to its end: which parts it has, how it goes from state to state, how severe it is.
//!
//! ```text
//!              2 of 3 intervals, or severe             quiet                 quiet for long enough
//!   pending ──────────────────────────────> open <───────────> closing ──────────────────────────> resolved
//!      │ quiet: forgotten                     │    not quiet                                          │
//!                                             ├─ a day without change, or learned ──> level shift     │ back soon
//!                                             ├─ two days unattended ──> expired                      │
//!                                             └──────────────── the same id <─────────────────────────┘
//! ```
//!
//! An interval is *quiet* where nothing is sighted that is as wide as the incident, and the shift of its slices is below
//! half the bound at which a slice stands out (two standard deviations of four), or below a quarter of its largest.
//! Each return within a day doubles the time that it must be quiet; from the third on it is flapping.

mod level;
mod part;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feedback::shifted;
use super::late::Revised;
use super::rules::{Rules, Steps};
use super::scene::{Scene, Sighting, Sums};
use super::severity::severity;
use super::slice::{Lies, Slice};
use crate::model::{Direction, IncidentKind, IncidentState};

pub(super) use part::Part;

/// Intervals of values that are remembered.
const TRACK: usize = 48;
/// Points of severity that are worth a line of the table.
const WRITTEN: f64 = 5.0;
/// Stretches of intervals whose anomalies were counted, the newest.
const COUNTED_MAX: usize = 64;
/// Of the series of an incident, that send nothing where it is about data that does not come.
const SILENT: f64 = 0.9;

/// An incident with all that its life depends on. Times are numbers of intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) id: String,
    pub(super) revision: u32,
    pub(super) kind: IncidentKind,
    /// The shard that lags, where it is about one.
    #[serde(default)]
    pub(super) shard: Option<String>,
    pub(super) state: IncidentState,
    pub(super) parts: Vec<Part>,
    pub(super) external: bool,
    /// First interval, and the one in which it was first seen.
    pub(super) since: i64,
    pub(super) first: i64,
    pub(super) opened: Option<i64>,
    /// Last interval that was not quiet.
    pub(super) last: i64,
    pub(super) ended: Option<i64>,
    /// Last interval in which its level was seen after it was learned.
    #[serde(default)]
    pub(super) absorbed: i64,
    /// The last intervals, the newest in the lowest bit: whether it was sighted.
    hits: u8,
    quiet: u32,
    pub(super) surprise: f64,
    pub(super) impact: f64,
    impact_before: f64,
    pub(super) impact_max: f64,
    pub(super) severity: f64,
    pub(super) severity_max: f64,
    /// Count, mean, and sum of squared differences of the relative shift while it is open.
    spread: (u32, f64, f64),
    /// What was expected of its first slice and of all else, an interval ago; and how far the first went by itself since
    /// it began, as a logarithm.
    expected: Option<(f64, f64)>,
    drift: f64,
    pub(super) returns: Vec<i64>,
    pub(super) acknowledged: Option<i64>,
    pub(super) merged_into: Option<String>,
    pub(super) silenced: Option<String>,
    pub(super) told: Option<Told>,
    /// Which reminder is next.
    pub(super) reminders: u32,
    pub(super) track: Vec<(f64, f64)>,
    /// How many of them are of intervals without a gap, and the last of these.
    #[serde(default)]
    tracked: i64,
    #[serde(default)]
    tracked_to: i64,
    /// Whether what it is about sent nothing when it was last sighted.
    #[serde(default)]
    pub(super) is_silent: bool,
    /// Anomalies of its slices since it was first seen, and what became of them.
    #[serde(default)]
    pub(super) anomalies: u64,
    /// The stretches of intervals in which they were counted.
    #[serde(default)]
    counted: Vec<(i64, i64)>,
    #[serde(default)]
    pub(super) revised: BTreeMap<String, Revised>,
    /// Whether late rows have withdrawn all of them, so that nothing is told of it.
    #[serde(default)]
    pub(super) is_withdrawn: bool,
    /// Something that the table shows has changed.
    #[serde(skip)]
    pub(super) changed: bool,
    /// Severity of the strongest anomaly of this interval.
    #[serde(skip)]
    strongest: f64,
    /// What feedback makes of its severity.
    #[serde(skip)]
    pub(super) shift: f64,
    /// Severity in the table.
    written: f64,
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) at: i64,
    pub(super) severity: f64,
    pub(super) impact: f64,
    pub(super) parts: Vec<(String, Slice)>,
}

/// What happened to an incident in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Opened,
    Returned,
    Resolved,
    LevelShift,
    Expired,
    Merged,
}

impl Life {
    /// Begun by a sighting.
    pub(super) fn of(sighting: &Sighting, id: String, now: i64) -> Life {
        let parts = vec![Part::new(sighting)];
        let mut life = Life::new(id, IncidentKind::Values, sighting.onset.min(now), now, parts);
        life.note(sighting);
        life
    }

    /// Begun by data that does not come.
    pub(super) fn of_data(id: String, now: i64) -> Life {
        Life::new(id, IncidentKind::Data, now, now, Vec::new())
    }

    /// Begun by a shard that lags since an interval.
    pub(super) fn of_shard(id: String, shard: &str, since: i64, now: i64) -> Life {
        let life = Life::new(id, IncidentKind::Data, since.min(now), now, Vec::new());
        Life { shard: Some(shard.to_owned()), ..life }
    }

    fn new(id: String, kind: IncidentKind, since: i64, now: i64, parts: Vec<Part>) -> Life {
        Life {
            id,
            revision: 0,
            kind,
            shard: None,
            state: IncidentState::Pending,
            parts,
            external: false,
            since,
            first: now,
            opened: None,
            last: now,
            ended: None,
            absorbed: 0,
            hits: 0,
            quiet: 0,
            surprise: 0.0,
            impact: 0.0,
            impact_before: 0.0,
            impact_max: 0.0,
            severity: 0.0,
            severity_max: 0.0,
            spread: (0, 0.0, 0.0),
            expected: None,
            drift: 0.0,
            returns: Vec::new(),
            acknowledged: None,
            merged_into: None,
            silenced: None,
            told: None,
            reminders: 0,
            track: Vec::new(),
            tracked: 0,
            tracked_to: 0,
            is_silent: false,
            anomalies: 0,
            counted: Vec::new(),
            revised: BTreeMap::new(),
            is_withdrawn: false,
            changed: false,
            strongest: 0.0,
            shift: 0.0,
            written: 0.0,
        }
    }

    /// Whether it is about the data of the whole source.
    pub(super) fn is_of_source(&self) -> bool {
        self.kind == IncidentKind::Data
    }

    /// Side of what opened it.
    pub(super) fn direction(&self) -> Direction {
        self.parts.first().map_or(Direction::Low, |part| part.direction)
    }

    /// Whether sightings belong to it: it goes on, or may.
    pub(super) fn is_live(&self) -> bool {
        use IncidentState::{Closing, Expired, Flapping, Open, Pending};
        matches!(self.state, Pending | Open | Closing | Flapping | Expired)
    }

    /// Whether it is believed.
    pub(super) fn is_open(&self) -> bool {
        use IncidentState::{Closing, Expired, Flapping, Open};
        matches!(self.state, Open | Closing | Flapping | Expired)
    }

    fn note(&mut self, sighting: &Sighting) {
        self.hits |= 1;
        self.surprise = self.surprise.max(sighting.surprise);
        self.strongest = self.strongest.max(sighting.severity);
        self.external |= sighting.external;
    }

    /// Takes a sighting that belongs to one of its parts.
    pub(super) fn take(&mut self, at: usize, sighting: &Sighting) {
        let is_pending = self.state == IncidentState::Pending;
        if is_pending {
            self.since = self.since.min(sighting.onset);
        }
        let part = &mut self.parts[at];
        let lies = sighting.slice.lies(&part.slice);
        // a narrower one is absorbed: that a part of it goes on does not say that all of it does
        if lies == Lies::Within && !is_pending {
            return;
        }
        if lies == Lies::Same {
            part.now.own = true;
        } else {
            part.now.others.push(sighting.slice.clone());
        }
        if sighting.is_cause {
            part.share = sighting.share;
        }
        self.note(sighting);
    }

    /// Takes a sighting as a new part: another slice or another measure that broke with it.
    pub(super) fn join(&mut self, sighting: &Sighting, slice: Slice, scene: &Scene<'_>) {
        let shown = scene.sums(&sighting.measure, &slice).map_or(sighting.sums.shown(), |sums| sums.shown());
        self.parts.push(Part { slice, shown, ..Part::new(sighting) });
        self.note(sighting);
        self.changed |= self.is_open();
    }

    /// Steps an incident of values over an interval, with its own sightings taken.
    pub(super) fn step(&mut self, scene: &Scene<'_>, rules: &Rules, steps: &Steps, now: i64) -> Option<Turn> {
        let (is_open, is_pending) = (self.is_open(), self.state == IncidentState::Pending);
        if self.is_live() || self.state == IncidentState::LevelShift {
            self.parts.iter_mut().for_each(|part| part.settle(scene));
        }
        if !self.is_live() && self.hits & 1 == 0 {
            self.expected = None;
            return self.turn(false, rules, steps, now);
        }
        for (at, part) in self.parts.iter_mut().enumerate() {
            let has_moved = part.follow(!is_pending, now);
            part.counted_from.get_or_insert(now);
            self.changed |= has_moved && is_open;
            if at == 0 && has_moved {
                (self.expected, self.drift) = (None, 0.0);
            }
        }
        let sums: Vec<Sums> = self.parts.iter().map(|part| scene.look(&part.measure, &part.slice)).collect();
        self.anomalies += self.parts.iter().zip(&sums).map(|(part, sums)| sums.anomalies(part.direction)).sum::<u64>();
        self.count(now);
        let (known, silent) = sums.iter().fold((0, 0), |all, sums| (all.0 + sums.known, all.1 + sums.silent));
        let is_silent = silent > 0 && silent as f64 >= SILENT * known as f64;
        let sums: Vec<Option<Sums>> = sums.into_iter().map(|sums| Some(sums).filter(|sums| sums.series > 0)).collect();
        let holds = self.parts.iter().zip(&sums).any(|(part, sums)| sums.as_ref().is_some_and(|sums| part.holds(sums)));
        let active = self.hits & 1 == 1 || (is_open && (holds || (self.is_silent && is_silent)));
        if active {
            self.changed |= is_open && self.is_silent != is_silent;
            self.is_silent = is_silent;
        }
        for (part, sums) in self.parts.iter_mut().zip(&sums) {
            let Some(sums) = sums.as_ref().filter(|_| active) else { continue };
            (part.shown, part.shown_at) = (sums.shown(), Some(now));
            part.largest = part.largest.max(sums.relative(part.direction));
        }
        if let Some(Some(lead)) = sums.first() {
            let [value, expected, _] = lead.shown();
            self.track.push((value, expected));
            self.tracked = if self.tracked_to == now - 1 { self.tracked + 1 } else { 1 };
            self.tracked_to = now;
            self.track.drain(..self.track.len().saturating_sub(TRACK));
            let relative = lead.relative(self.parts[0].direction);
            let rest = scene.size(&self.parts[0].measure) - lead.size;
            self.drifts(lead.size, rest);
            if active && is_open {
                let (count, mean, squares) = &mut self.spread;
                *count += 1;
                let off = relative - *mean;
                *mean += off / f64::from(*count);
                *squares += off * (relative - *mean);
            }
        }
        if active {
            let mut by_measure: Vec<(&str, f64)> = Vec::new();
            for (part, sums) in self.parts.iter().zip(&sums) {
                let deviation = sums.as_ref().map_or(0.0, Sums::deviation);
                match by_measure.iter_mut().find(|(measure, _)| *measure == part.measure) {
                    Some((_, sum)) => *sum += deviation,
                    None => by_measure.push((&part.measure, deviation)),
                }
            }
            let impacts = by_measure.iter().map(|(measure, deviation)| scene.impact(measure, *deviation));
            let impact = impacts.fold(0.0, f64::max);
            self.impact_before = std::mem::replace(&mut self.impact, impact);
            self.impact_max = self.impact_max.max(impact);
        }
        self.turn(active, rules, steps, now)
    }

    /// Notes that the anomalies of an interval are counted.
    fn count(&mut self, now: i64) {
        match self.counted.last_mut() {
            Some((_, to)) if *to == now - 1 => *to = now,
            _ => {
                self.counted.drain(..(self.counted.len() + 1).saturating_sub(COUNTED_MAX));
                self.counted.push((now, now));
            }
        }
    }

    /// Whether the anomalies of an interval were counted.
    pub(super) fn has_counted(&self, at: i64) -> bool {
        self.counted.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }

    /// Steps an incident of data: it goes on while data is missing.
    pub(super) fn step_data(&mut self, missing: Option<f64>, rules: &Rules, steps: &Steps, now: i64) -> Option<Turn> {
        if let Some(share) = missing {
            self.hits |= 1;
            // beyond doubt
            (self.surprise, self.impact, self.strongest) = (f64::from(u8::MAX), share, 100.0);
        }
        self.turn(missing.is_some(), rules, steps, now)
    }

    fn turn(&mut self, active: bool, rules: &Rules, steps: &Steps, now: i64) -> Option<Turn> {
        use IncidentState::{Closing, Expired, Flapping, LevelShift, Open, Pending, Resolved};
        let strongest = std::mem::take(&mut self.strongest);
        let hits = self.hits;
        self.hits <<= 1;
        let window = (1u16 << rules.open_window.min(8)) - 1;
        let duration = (now - self.since + 1) as f64;
        let severe = shifted(severity(self.surprise, self.impact, duration), self.shift);
        let is_believed = (u16::from(hits) & window).count_ones() >= rules.open_intervals
            || (hits & 1 == 1 && severe.max(strongest) >= rules.open_at_once);
        // one sighting alone does not bring back what is over
        if active && (self.state != Resolved || is_believed) {
            (self.last, self.quiet, self.severity) = (now, 0, severe);
            self.severity_max = self.severity_max.max(severe);
        } else {
            self.quiet = self.quiet.saturating_add(1);
        }
        let before = self.state;
        let turn = match self.state {
            Pending if is_believed => {
                (self.state, self.opened) = (Open, Some(now));
                Some(Turn::Opened)
            }
            Open | Closing | Flapping | Expired if active => {
                if self.state == Closing {
                    self.state = Open;
                }
                self.lasts(steps, now)
            }
            Open | Closing | Flapping | Expired if self.quiet >= self.quiet_for(rules, steps) => {
                let was = self.state;
                self.ended = Some(self.last + 1);
                self.state = if self.is_learned() { LevelShift } else { Resolved };
                let told = if self.state == LevelShift { Turn::LevelShift } else { Turn::Resolved };
                (was != Expired).then_some(told)
            }
            Open => {
                self.state = Closing;
                None
            }
            Resolved if is_believed => {
                self.returns.retain(|at| now - at < steps.day);
                self.returns.push(now);
                self.state = if self.returns.len() >= rules.flapping_after as usize { Flapping } else { Open };
                self.ended = None;
                Some(Turn::Returned)
            }
            _ => None,
        };
        self.changed |= self.state != before;
        turn
    }

    /// Quiet intervals after which it is over: twice as many for each return within a day.
    fn quiet_for(&self, rules: &Rules, steps: &Steps) -> u32 {
        let returns = self.returns.iter().filter(|at| self.last - **at < steps.day).count() as u32;
        let hold = rules.close_intervals.saturating_mul(1 << returns.min(16));
        if returns == 0 { hold } else { hold.min(steps.hold_max.max(rules.close_intervals)) }
    }

    /// Intervals without a verdict have passed.
    pub(super) fn pass(&mut self, intervals: i64) {
        let most = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.hits = self.hits.checked_shl(most).unwrap_or(0);
        self.quiet = self.quiet.saturating_add(most);
    }

    /// Whether it was not sighted for so long that it is forgotten, before it was believed.
    pub(super) fn is_forgotten(&self, rules: &Rules) -> bool {
        self.state == IncidentState::Pending && self.quiet >= rules.open_window
    }

    /// Ends as a part of another one.
    pub(super) fn merge_into(&mut self, other: &str, now: i64) {
        (self.state, self.ended) = (IncidentState::Merged, Some(now + 1));
        self.merged_into = Some(other.to_owned());
        self.changed = true;
    }

    /// Whether the table is to have a new line of it; then the line is a new revision.
    pub(super) fn revise(&mut self, is_told: bool) -> bool {
        let is_new = self.changed || is_told || (self.severity - self.written).abs() >= WRITTEN;
        if self.opened.is_none() || !is_new {
            return false;
        }
        (self.changed, self.written) = (false, self.severity);
        self.revision += 1;
        true
    }

    /// The impact that two intervals in a row had at least.
    pub(super) fn held_impact(&self) -> f64 {
        self.impact.min(self.impact_before)
    }
}
