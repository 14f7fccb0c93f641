//! Data that does not come, told while it does not: by the clock, before event time says it.
//!
//! An interval without a row is judged when rows of a later one come. Where nothing comes at all, the clock has passed
//! intervals of which nothing is known yet. What their emptiness would make of the incident of data is told then, under the
//! id that the incident will have, and is told only once: when rows are back and the same intervals are judged, what was
//! told is not told again. Lines of the table are written again as they were.
//!
//! So a backtest, which has no clock, has the same incident (D1). It differs in one thing: rows that were merely held up
//! fill the intervals after all. Then the incident that was told by the clock is over with that reason, and a backtest
//! never had it.

use serde::{Deserialize, Serialize};

use super::scene::Scene;
use super::words;
use super::{Incidents, Turns};
use crate::model::{EndReason, Incident, IncidentChanges, IncidentKind, IncidentState, Interval, Notice, NoticeKind};

/// What the clock has said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ahead {
    /// The last interval that it has passed.
    until: i64,
    /// The incident of data as it was told.
    incident: Option<Incident>,
    /// What was told of it, and with which interval.
    told: Vec<(NoticeKind, i64)>,
}

impl Ahead {
    /// The last interval that the clock has passed.
    pub(super) fn until(&self) -> i64 {
        self.until
    }
}

impl Incidents {
    /// Tells of data that has not come of the intervals after the last one that was judged, up to one that the clock has
    /// passed. `expects` says whether anything is to come in an interval; `walked_most` is how many intervals without a row
    /// are judged when rows are back, beyond which time is skipped.
    pub fn ahead(
        &mut self,
        until: Interval,
        walked_most: i64,
        expects: impl Fn(Interval) -> bool,
    ) -> Vec<(Interval, IncidentChanges)> {
        let Some(last) = self.state.last else { return Vec::new() };
        // what would be told of the rest of a longer gap would not be said again
        let most = last + walked_most;
        let told = self.state.ahead.as_ref().map_or(last, |ahead| ahead.until);
        if until.number() <= told || told >= most {
            return Vec::new();
        }
        let mut ahead = self.state.ahead.take().unwrap_or(Ahead { until: last, incident: None, told: Vec::new() });
        let mut shadow = self.clone();
        let mut all = Vec::new();
        let to = until.number().min(most);
        for number in last + 1..=to {
            let interval = until.offset(number - until.number());
            let mut changes = shadow.pass_empty(interval, expects(interval));
            changes.incidents.retain(is_of_source);
            let is_ours = |notice: &Notice| changes.incidents.iter().any(|incident| incident.id == notice.thread);
            changes.notices.retain(is_ours);
            self.name_measures(&mut changes);
            if number <= ahead.until {
                continue;
            }
            ahead.incident = changes.incidents.last().cloned().or(ahead.incident);
            ahead.told.extend(changes.notices.iter().map(|notice| (notice.kind, number)));
            if !changes.incidents.is_empty() {
                all.push((interval, changes));
            }
        }
        ahead.until = to;
        self.state.ahead = Some(ahead);
        all
    }

    /// Takes an interval of which nothing has come.
    fn pass_empty(&mut self, interval: Interval, is_expected: bool) -> IncidentChanges {
        let now = interval.number();
        self.state.last = Some(now);
        self.obey(interval);
        let per_day = self.settings.steps.per_day;
        let missing = is_expected.then(|| self.state.presence.step(now, per_day, (0, 0, 1))).flatten();
        let mut turns = Turns::default();
        self.step_data(missing, interval, &mut turns);
        self.tell(interval, &turns)
    }

    /// Holds what the clock has said against what an interval says now.
    pub(super) fn compare_ahead(&mut self, interval: Interval, scene: &Scene<'_>, changes: &mut IncidentChanges) {
        let now = interval.number();
        let Some(mut ahead) = self.state.ahead.take() else { return };
        if let Some(mut incident) = ahead.incident.take() {
            let id = incident.id.clone();
            let was_told = |notice: &Notice| notice.thread == id && ahead.told.contains(&(notice.kind, now));
            changes.notices.retain(|notice| !was_told(notice));
            let is_there = self.state.lives.iter().any(|life| life.id == id && life.is_live());
            if !is_there && incident.is_live() && incident.since <= interval.start() {
                // the interval had its rows
                incident.state = IncidentState::Resolved;
                incident.end_reason = Some(EndReason::Arrived);
                incident.until = Some(interval.end());
                incident.revision += 1;
                incident.interval = interval;
                if !ahead.told.is_empty() {
                    let notice = words::notice(&incident, NoticeKind::Resolved);
                    changes.notices.push(Notice { measures: scene.names(), ..notice });
                }
                changes.incidents.push(incident);
            } else {
                ahead.incident = Some(incident);
            }
        }
        // those intervals are known now
        if now < ahead.until {
            self.state.ahead = Some(ahead);
        }
    }
}

fn is_of_source(incident: &Incident) -> bool {
    incident.kind == IncidentKind::Data && incident.causes.is_empty()
}
