//! The life cycle of incidents: what the detector and the search for causes say interval by interval becomes a few things
//! that begin, change and end, and are told once.
//!
//! ```text
//!  points, groups ── scene ──> sightings ── home ──> lives ── teller ──> notices
//!                      └─ presence: is there any data?  └──> lines of the incident table
//! ```
//!
//! An incident is known by a slice and a side; measures are members of it. A sighting belongs to a live incident with
//! the same measure and side whose slice is the same, wider or narrower, or shares half of what was expected; to one
//! that began within the last hour, where another measure broke in its slice or one like it; or to one that began with
//! it as another cause of the same measure. A swing to the other side right after the end of an incident is part of it.
//! Everything else begins an incident of its own.
//!
//! Where the data itself does not come there is one incident of data, and none of values beneath it; while it does not,
//! the clock may say so before the next row does (`ahead`), and that a shard lags (`lagging`). Totals may be looked at beside the series (`rollup`), and rows
//! that come late correct what was said (`late`).
//!
//! [`Incidents::observe`] is a pure function of the state, the verdicts and the commands: no clock, no randomness. So a
//! backtest and a job give the same incidents (D1), and a restored state goes on as one that was never stopped (D2).
//! Reading order: `slice`, `scene`, `severity`, `rules`, `life`, this file, `teller`, `words`, `orders`, `late`, `ahead`, `lagging`,
//! `rollup`.

mod ahead;
mod command;
mod feedback;
mod home;
mod lagging;
mod late;
mod life;
mod memory;
mod orders;
mod presence;
mod rollup;
mod rules;
mod scene;
mod severity;
mod slice;
mod teller;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    AnomalyGroup, Direction, Incident, IncidentCause, IncidentChanges, IncidentKind, IncidentState, Interval,
    LateFindings, Notice, NoticeKind, Point, Track,
};
use ahead::Ahead;
use feedback::Feedback;
use lagging::Lagging;
use life::{Life, Turn};
use orders::{Timed, Waiting};
use presence::Presence;
use rollup::Rollups;
use rules::Matcher;
use scene::{Scene, Sighting};
use slice::{Lies, Slice};
use teller::{Moment, Teller};

pub use command::{About, Command, Opinion, Order};
pub use feedback::{Given, is_similar, points as feedback_points, shifted};
pub use late::{Became, Late};
pub use rules::{Matcher as SilenceMatcher, QuietHours, Rules, Settings, Silence};
pub use words::{clause, what};

/// Version of the state.
const VERSION: u32 = 1;
/// Parts of one incident.
const PARTS_MAX: usize = 64;

/// What one interval brought.
pub struct Seen<'a> {
    /// Which interval; later than the last one.
    pub interval: Interval,
    /// Rows that came in time.
    pub rows: u64,
    /// Its anomaly groups.
    pub groups: &'a [AnomalyGroup],
    /// All its verdicts, ordered by measure.
    pub points: &'a [Point],
    /// Whether the values of a measure's series add up to that of all.
    pub adds_up: &'a dyn Fn(&str) -> bool,
}

/// A state that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Of another version of the program.
    #[error("the state of incidents is of version {0}, this program reads version {VERSION}")]
    Version(u64),
    /// It is not what it was.
    #[error("the state of incidents makes no sense: {0}")]
    Damaged(String),
}

/// All incidents of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Incidents {
    settings: Settings,
    state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    last: Option<i64>,
    lives: Vec<Life>,
    presence: Presence,
    #[serde(default)]
    rollups: Rollups,
    teller: Teller,
    /// Commands that take effect with the next interval, and names of those that did.
    orders: Vec<Waiting>,
    obeyed: Vec<String>,
    silences: Vec<Timed>,
    feedback: Feedback,
    /// What was told by the clock.
    #[serde(default)]
    ahead: Option<Ahead>,
    /// Shards that lag, which the clock tells too.
    #[serde(default)]
    lagging: Lagging,
    /// The measures that were judged last.
    #[serde(default)]
    measures: Vec<String>,
}

impl Incidents {
    /// Before the first interval.
    pub fn new(settings: Settings) -> Incidents {
        Incidents { settings, state: State::default() }
    }

    /// Goes on from what [`Incidents::snapshot`] gave, perhaps under other rules.
    ///
    /// # Errors
    /// When the state is of another version or damaged.
    pub fn restore(settings: Settings, snapshot: &Value) -> Result<Incidents, StateError> {
        let version = snapshot.get("version").and_then(Value::as_u64);
        match version {
            Some(version) if version != u64::from(VERSION) => return Err(StateError::Version(version)),
            None => return Err(StateError::Damaged("it has no version".to_owned())),
            Some(_) => {}
        }
        let state = snapshot.get("state").cloned().unwrap_or(Value::Null);
        let state = serde_json::from_value(state).map_err(|error| StateError::Damaged(error.to_string()))?;
        Ok(Incidents { settings, state })
    }

    /// All that the future depends on, beside the settings.
    ///
    /// # Errors
    /// When a number cannot be written; a fault of ours.
    pub fn snapshot(&self) -> Result<Value, serde_json::Error> {
        Ok(serde_json::json!({ "version": VERSION, "state": serde_json::to_value(&self.state)? }))
    }

    /// What was said of earlier incidents.
    pub fn opinions(&self) -> &[Given] {
        self.state.feedback.given()
    }

    /// Number of the last interval that was taken in.
    pub fn last(&self) -> Option<i64> {
        self.state.last
    }

    /// Takes one interval in. One that is not later than the last is ignored: it was told.
    pub fn observe(&mut self, seen: &Seen<'_>) -> IncidentChanges {
        let now = seen.interval.number();
        let passed = self.state.last.map_or(1, |last| now - last);
        if passed < 1 {
            return IncidentChanges::default();
        }
        self.state.last = Some(now);
        self.state.lives.iter_mut().for_each(|life| life.pass(passed - 1));
        self.obey(seen.interval);
        let scene = Scene::new(seen);
        let missing = self.missing(seen, &scene);
        let mut turns = Turns::default();
        self.step_data(missing, seen.interval, &mut turns);
        if missing.is_none() {
            self.step_values(seen, &scene, &mut turns);
        }
        self.state.lives.retain(|life| !life.is_forgotten(&self.settings.rules));
        let mut changes = self.tell(seen.interval, &turns);
        if !seen.points.is_empty() {
            self.state.measures = scene.names();
        }
        self.name_measures(&mut changes);
        self.compare_ahead(seen.interval, &scene, &mut changes);
        self.forget(now);
        changes
    }

    /// Data that does not come is about every measure.
    fn name_measures(&self, changes: &mut IncidentChanges) {
        let is_of_data = |notice: &&mut Notice| notice.direction.is_none() && notice.measures.is_empty();
        changes.notices.iter_mut().filter(is_of_data).for_each(|notice| notice.measures = self.state.measures.clone());
    }

    /// The share of what is usual that is missing, where the data does not come. Where nothing is judged, nobody
    /// expects any.
    fn missing(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Option<f64> {
        if seen.points.is_empty() {
            return None;
        }
        let per_day = self.settings.steps.per_day;
        self.state.presence.step(seen.interval.number(), per_day, (seen.rows, scene.present(), scene.known()))
    }

    /// One incident of data, as long as data is missing. What broke with it is part of it.
    fn step_data(&mut self, missing: Option<f64>, interval: Interval, turns: &mut Turns) {
        let now = interval.number();
        let Settings { rules, steps, .. } = &self.settings;
        let is_ours = |life: &&mut Life| {
            let is_back = life.ended.is_some_and(|ended| now - ended <= steps.reopen_within);
            life.kind == IncidentKind::Data && (life.is_live() || is_back)
        };
        if missing.is_some() && self.state.lives.iter_mut().find(is_ours).is_none() {
            let id = self.id("", &Slice::all(0), Direction::Low, interval);
            self.state.lives.push(Life::of_data(id, now));
        }
        let Some(life) = self.state.lives.iter_mut().find(is_ours) else { return };
        let turn = life.step_data(missing, rules, steps, now);
        turns.note(life, turn);
        let (id, since, is_open) = (life.id.clone(), life.since, life.is_open());
        if !(is_open && missing.is_some()) {
            return;
        }
        self.state.lives.retain(|life| life.state != IncidentState::Pending);
        let began_with_it =
            |life: &&mut Life| life.kind == IncidentKind::Values && life.is_open() && life.since >= since - 1;
        for life in self.state.lives.iter_mut().filter(began_with_it) {
            life.merge_into(&id, now);
            turns.note(life, Some(Turn::Merged));
        }
    }

    fn step_values(&mut self, seen: &Seen<'_>, scene: &Scene<'_>, turns: &mut Turns) {
        let now = seen.interval.number();
        let of_source = self.state.lives.iter().filter(|life| life.is_of_source() && life.opened.is_some());
        let held = i64::from(self.settings.rules.close_intervals);
        let until = |life: &Life| life.ended.map_or(i64::MAX, |ended| ended + held);
        let gap = of_source.map(|life| (life.since, until(life))).max_by_key(|(since, _)| *since);
        let mut sightings = scene.sightings(seen.groups, &self.settings.dimensions);
        if self.settings.rules.rollups {
            let Settings { dimensions, steps, .. } = &self.settings;
            let rollups = self.state.rollups.step(scene, dimensions.len(), steps.per_day, seen.interval);
            // those that causes say already are found to be parts of their incidents
            sightings.extend(rollups);
        }
        for sighting in sightings {
            if self.counts(&sighting, scene) {
                self.house(sighting, scene, seen.interval, gap);
            }
        }
        let Settings { dimensions, rules, steps, .. } = &self.settings;
        let per_day = steps.per_day;
        let of_values = |life: &&mut Life| life.kind == IncidentKind::Values && life.state != IncidentState::Merged;
        for life in self.state.lives.iter_mut().filter(of_values) {
            life.shift = life.parts.first().map_or(0.0, |part| {
                let about = (part.measure.as_str(), &part.slice, part.direction);
                self.state.feedback.shift(scene, dimensions, about, (now, per_day))
            });
            let turn = life.step(scene, rules, steps, now);
            turns.note(life, turn);
        }
        self.merge(now, turns);
    }

    /// Whether a sighting is of a kind that the rules ask for.
    fn counts(&self, sighting: &Sighting, scene: &Scene<'_>) -> bool {
        let rules = &self.settings.rules;
        rules.direction.is_none_or(|side| side == sighting.direction)
            && (sighting.sums.size >= rules.min_volume || !scene.adds_up(&sighting.measure))
    }

    /// Gives a sighting to the incident that it belongs to, or begins one, unless it began in a gap of the data.
    fn house(&mut self, sighting: Sighting, scene: &Scene<'_>, interval: Interval, gap: Option<(i64, i64)>) {
        let now = interval.number();
        // what comes right after a gap is its echo, however long it takes to fade
        let is_echo = gap.is_some_and(|(since, until)| now < until || (since..until).contains(&sighting.onset));
        match home::find(&self.state.lives, &sighting, scene, &self.settings.steps, now) {
            Some((at, home::Home::Part(part))) => self.state.lives[at].take(part, &sighting),
            Some((at, home::Home::New(_))) if self.state.lives[at].parts.len() >= PARTS_MAX => {}
            Some((at, home::Home::New(slice))) => self.state.lives[at].join(&sighting, slice, scene),
            Some((at, home::Home::Learned)) => self.state.lives[at].absorbed = now,
            Some((_, home::Home::Known)) => {}
            None if is_echo || !self.make_room() => {}
            None => {
                let id = self.id(&sighting.measure, &sighting.slice, sighting.direction, interval);
                self.state.lives.push(Life::of(&sighting, id, now));
            }
        }
    }

    /// Incidents that have come to lie within another one become part of it.
    fn merge(&mut self, now: i64, turns: &mut Turns) {
        let hour = self.settings.steps.hour;
        let lives = &mut self.state.lives;
        for at in 0..lives.len() {
            let into = &lives[at];
            if !into.is_live() || into.kind == IncidentKind::Data {
                continue;
            }
            let (id, is_open, since, parts) = (into.id.clone(), into.is_open(), into.since, into.parts.clone());
            let covers = |life: &Life| {
                let soon = (life.since - since).abs() <= hour;
                life.parts.iter().all(|inner| {
                    parts.iter().any(|outer| {
                        let is_same = (&outer.measure, outer.direction) == (&inner.measure, inner.direction);
                        (is_same || (soon && outer.measure != inner.measure))
                            && matches!(outer.slice.lies(&inner.slice), Lies::Same | Lies::Around)
                    })
                })
            };
            for (other, life) in lives.iter_mut().enumerate() {
                let is_other = other != at && life.is_live() && life.kind == IncidentKind::Values;
                // of two that are the same the older one stays
                let is_below = is_other && (is_open || !life.is_open()) && covers(life);
                if is_below && (at < other || life.parts != parts) {
                    life.merge_into(&id, now);
                    turns.note(life, Some(Turn::Merged));
                }
            }
        }
        lives.retain(|life| life.state != IncidentState::Merged || life.opened.is_some());
    }

    /// The lines of the table, and what is told.
    fn tell(&mut self, interval: Interval, turns: &Turns) -> IncidentChanges {
        let Settings { rules, zone, dimensions, .. } = &self.settings;
        let quiet = rules.quiet_hours.as_ref().filter(|hours| hours.calendar.is_at(interval, *zone));
        let quiet = quiet.map(|hours| hours.severity_threshold);
        let moment = Moment { settings: &self.settings, interval, quiet };
        let mut changes = IncidentChanges::default();
        for life in self.state.lives.iter_mut().filter(|life| life.opened.is_some()) {
            let by_rule = rules.silences.iter().filter(|silence| silence.calendar.is_at(interval, *zone));
            let by_rule = by_rule.map(|silence| (silence.calendar.name(), &silence.matcher));
            let by_command = self.state.silences.iter().map(|silence| (silence.name.as_str(), &silence.matcher));
            let mut silences = by_rule.chain(by_command);
            let silence = silences.find(|(_, matcher)| is_meant(matcher, life, dimensions)).map(|(name, _)| name);
            if life.is_live() && life.silenced.as_deref() != silence {
                (life.silenced, life.changed) = (silence.map(str::to_owned), true);
            }
            let has_returned = life.is_back();
            let is_back = has_returned && life.told.is_some() && life.is_live() && life.silenced.is_none();
            let kind = teller::news(life, turns.of(&life.id), &moment);
            if is_back && kind != Some(NoticeKind::Opened) {
                changes.notices.push(late::again(life, incident(life, &self.settings, interval)));
            }
            let is_new = life.revise(kind.is_some());
            if has_returned {
                changes.returned.push(Incident { late: life.late(), ..incident(life, &self.settings, interval) });
            }
            if !is_new {
                continue;
            }
            let incident = incident(life, &self.settings, interval);
            if let Some(kind) = kind {
                let notice = self.state.teller.tell(life, kind, &incident, &moment);
                changes.notices.extend(notice.filter(|_| !life.is_withdrawn));
            }
            changes.incidents.push(incident);
        }
        changes.notices.extend(self.state.teller.digest(&moment));
        changes
    }

    /// `incident-<yyyymmdd>-<hhmm>-<8 hex digits>`: the interval in which it was first seen, and a hash of slice and side.
    fn id(&self, measure: &str, slice: &Slice, direction: Direction, interval: Interval) -> String {
        let side = if direction == Direction::High { 1 } else { 0 };
        let named = |bytes: &[u8]| {
            format!("incident-{}-{:08x}", interval.start().format("%Y%m%d-%H%M"), crc32fast::hash(bytes))
        };
        let mut bytes: Vec<u8> = slice.bytes().chain([side]).collect();
        let mut id = named(&bytes);
        // another measure of the same slice and side that did not join it
        while self.state.lives.iter().any(|life| life.id == id) {
            bytes.extend(measure.bytes().chain([0xfd]));
            id = named(&bytes);
        }
        id
    }
}

/// What happened to incidents in an interval.
#[derive(Default)]
struct Turns(Vec<(String, Turn)>);

impl Turns {
    fn note(&mut self, life: &Life, turn: Option<Turn>) {
        self.0.extend(turn.map(|turn| (life.id.clone(), turn)));
    }

    fn of(&self, id: &str) -> Option<Turn> {
        self.0.iter().rfind(|(of, _)| of == id).map(|(_, turn)| *turn)
    }
}

/// Whether every part of an incident is meant. That no data comes is silenced where everything is.
fn is_meant(matcher: &Matcher, life: &Life, dimensions: &[String]) -> bool {
    let is_meant = |part: &life::Part| matcher.has(dimensions, &part.measure, part.direction, &part.slice);
    if life.parts.is_empty() { matcher.is_open() } else { life.parts.iter().all(is_meant) }
}

/// An incident as the table has it.
fn incident(life: &Life, settings: &Settings, interval: Interval) -> Incident {
    let at = |number: i64| interval.offset(number - interval.number()).start();
    let cause = |part: &life::Part| {
        let [value, expected, room] = part.shown;
        IncidentCause {
            measure: part.measure.clone(),
            dimensions: part.slice.named(&settings.dimensions),
            direction: part.direction,
            share: part.share,
            value,
            expected,
            lower: expected - room,
            upper: expected + room,
        }
    };
    Incident {
        id: life.id.clone(),
        revision: life.revision,
        interval,
        kind: if life.is_silent { IncidentKind::Data } else { life.kind },
        shard: life.shard.clone(),
        state: life.state,
        direction: life.direction(),
        since: at(life.since),
        until: life.ended.map(at),
        severity: life.severity,
        severity_max: life.severity_max,
        surprise: life.surprise,
        impact: life.impact,
        duration: u64::try_from(life.last - life.since + 1).unwrap_or(0),
        causes: life.parts.iter().map(cause).collect(),
        external: life.external,
        reopened: u32::try_from(life.returns.len()).unwrap_or(u32::MAX),
        acknowledged: life.acknowledged.map(at),
        silenced: life.silenced.clone(),
        merged_into: life.merged_into.clone(),
        late: LateFindings::default(),
        end_reason: None,
        track: Track {
            values: life.track.iter().map(|(value, _)| *value).collect(),
            expected: life.track.iter().map(|(_, expected)| *expected).collect(),
        },
    }
}

/// Hour of the week, from Monday 00:00.
pub fn hour_of_week(at: chrono::NaiveDateTime) -> u32 {
    use chrono::{Datelike as _, Timelike as _};
    at.weekday().num_days_from_monday() * 24 + at.hour()
}

#[cfg(test)]
mod tests;
