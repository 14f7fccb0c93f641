//! Who is told how often: what is news, what is held for a digest, what is silenced.
//!
//! News are the opening, a return, a material change (a step of severity, a slice that is no refinement, twice the
//! impact, by whichever measure), the end, and reminders while nobody attends. That a level was learned is said for those who
//! hold an alert open, and for everyone where that is asked for. Held for one digest are notices beyond the cap of an hour,
//! those of incidents that come and go, and in quiet hours all that is not severe.

use serde::{Deserialize, Serialize};

use super::life::{Life, Told, Turn};
use super::rules::Settings;
use super::slice::{Lies, Slice};
use super::words;
use crate::model::{Dimensions, Incident, IncidentState, Interval, Notice, NoticeKind};

/// Notices that wait for a digest, the newest, and those of them that it shows.
const HELD_MAX: usize = 1000;
const SHOWN_MAX: usize = 200;
/// Growth of the impact that is news.
const GROWTH: f64 = 2.0;
/// Of its shift, that the forecast has gone where nobody is reminded of it.
const LEARNING: f64 = 0.25;
/// Severity by which an acknowledged incident must rise to be told again.
const RISE: f64 = 10.0;

/// What was told lately, and what waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Teller {
    /// Intervals of the notices of the last hour.
    sent: Vec<i64>,
    held: Vec<Held>,
    /// When what went beyond the cap is told.
    capped: Option<i64>,
}

/// A line of a digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    due: i64,
    incident: String,
    kind: NoticeKind,
    title: String,
    severity: f64,
    score: f64,
    measures: Vec<String>,
    slices: Vec<Dimensions>,
}

/// The interval in which something is told.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) settings: &'a Settings,
    pub(super) interval: Interval,
    /// Least severity that is told at once, in quiet hours.
    pub(super) quiet: Option<f64>,
}

impl Moment<'_> {
    fn now(&self) -> i64 {
        self.interval.number()
    }
}

/// What is news of an incident.
pub(super) fn news(life: &Life, turn: Option<Turn>, moment: &Moment<'_>) -> Option<NoticeKind> {
    let Settings { rules, steps, .. } = moment.settings;
    if life.silenced.is_some() || life.severity_max < rules.severity_threshold {
        return None;
    }
    let is_going = matches!(life.state, IncidentState::Open | IncidentState::Flapping);
    let Some(told) = &life.told else { return is_going.then_some(NoticeKind::Opened) };
    match turn {
        // what was told under another id ends there
        Some(Turn::Merged) => return Some(NoticeKind::Resolved),
        Some(Turn::Resolved) => return rules.tell_resolved.then_some(NoticeKind::Resolved),
        Some(Turn::LevelShift) => return Some(NoticeKind::LevelShift),
        Some(Turn::Returned) => return Some(NoticeKind::Opened),
        Some(Turn::Expired | Turn::Opened) | None => {}
    }
    if life.state != IncidentState::Open {
        return None;
    }
    let now = moment.now();
    let rose = |by: f64| life.severity_max >= told.severity + by;
    let stepped = rules.severity_steps.iter().any(|step| told.severity < *step && life.severity_max >= *step);
    if life.acknowledged.is_some() {
        return (now - told.at >= steps.update_spacing && stepped && rose(RISE)).then_some(NoticeKind::Updated);
    }
    if now - told.at >= steps.update_spacing && (stepped || is_material(life, told)) {
        return Some(NoticeKind::Updated);
    }
    // what the forecast goes to is a new level soon, and that is told
    if life.learned() >= LEARNING {
        return None;
    }
    let open_for = now - life.opened.unwrap_or(now);
    (open_for >= reminder(life.reminders, moment.settings)).then_some(NoticeKind::Reminder)
}

/// Whether an incident is about more than was told.
fn is_material(life: &Life, told: &Told) -> bool {
    let is_known =
        |slice: &Slice| told.parts.iter().any(|(_, other)| matches!(other.lies(slice), Lies::Same | Lies::Around));
    let is_wider = life.parts.iter().any(|part| !is_known(&part.slice));
    is_wider || (told.impact > 0.0 && life.held_impact() >= GROWTH * told.impact)
}

/// Intervals after its opening at which an incident is reminded of for the time of this number.
fn reminder(number: u32, settings: &Settings) -> i64 {
    let after = &settings.steps.remind_after;
    let day = settings.steps.day;
    match after.get(number as usize) {
        Some(intervals) => *intervals,
        None => {
            let beyond = i64::from(number) - after.len() as i64 + 1;
            after.last().copied().unwrap_or(0).max(0) / day * day + beyond * day
        }
    }
}

impl Teller {
    /// Tells of an incident, now or in a digest. The incident is as the table has it.
    pub(super) fn tell(
        &mut self,
        life: &mut Life,
        kind: NoticeKind,
        incident: &Incident,
        moment: &Moment<'_>,
    ) -> Option<Notice> {
        let now = moment.now();
        let steps = &moment.settings.steps;
        life.told = Some(Told {
            at: now,
            severity: life.severity_max,
            impact: life.impact,
            parts: life.parts.iter().map(|part| (part.measure.clone(), part.slice.clone())).collect(),
        });
        let open_for = now - life.opened.unwrap_or(now);
        while reminder(life.reminders, moment.settings) <= open_for {
            life.reminders += 1;
        }
        let notice = words::notice(incident, kind);
        if kind == NoticeKind::LevelShift && !moment.settings.rules.tell_level_shift {
            // nobody reads it: an alert that is held open ends
            return Some(notice);
        }
        self.sent.retain(|at| now - at < steps.hour);
        let returns = life.returns.iter().filter(|at| now - **at < steps.day).count();
        let due = if returns > 1 || (returns == 1 && kind == NoticeKind::Resolved) {
            let waiting = self.held.iter().find(|held| held.incident == incident.id).map(|held| held.due);
            Some(waiting.unwrap_or(now + steps.day))
        } else if moment.quiet.is_some_and(|threshold| incident.severity_max < threshold) {
            Some(now)
        } else if self.sent.len() >= moment.settings.rules.notices_per_hour as usize {
            Some(*self.capped.get_or_insert(now + steps.hour))
        } else {
            None
        };
        let Some(due) = due else {
            self.sent.push(now);
            return Some(notice);
        };
        let Notice { thread, kind, title, severity, score, measures, slices, .. } = notice;
        self.held.drain(..(self.held.len() + 1).saturating_sub(HELD_MAX));
        self.held.push(Held { due, incident: thread, kind, title, severity, score, measures, slices });
        None
    }

    /// Whether something waits for a digest.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The digest of what is due, if anything is.
    pub(super) fn digest(&mut self, moment: &Moment<'_>) -> Option<Notice> {
        let now = moment.now();
        if moment.quiet.is_some() || !self.held.iter().any(|held| held.due <= now) {
            return None;
        }
        self.capped = self.capped.filter(|due| *due > now);
        let (due, held): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.held).into_iter().partition(|held| held.due <= now);
        self.held = held;
        Some(digest(&due, moment.interval))
    }
}

fn digest(held: &[Held], interval: Interval) -> Notice {
    let mut incidents: Vec<&str> = Vec::new();
    let (mut measures, mut slices): (Vec<String>, Vec<Dimensions>) = (Vec::new(), Vec::new());
    for line in held {
        if !incidents.contains(&line.incident.as_str()) {
            incidents.push(&line.incident);
        }
        measures.extend(line.measures.iter().filter(|name| !measures.contains(name)).cloned().collect::<Vec<_>>());
        slices.extend(line.slices.iter().filter(|slice| !slices.contains(slice)).cloned().collect::<Vec<_>>());
    }
    let most = |of: &dyn Fn(&Held) -> f64| held.iter().map(of).fold(0.0, f64::max);
    let shown = &held[..held.len().min(SHOWN_MAX)];
    let mut lines: Vec<String> = shown.iter().map(|line| format!("{}  ({})", line.title, line.incident)).collect();
    if shown.len() < held.len() {
        lines.push(format!("and {} more", held.len() - shown.len()));
    }
    let title = format!("{} notices about {} incidents", held.len(), incidents.len());
    let id = format!("digest-{}", interval.start().format("%Y%m%d-%H%M"));
    let entry = |line: &Held| serde_json::json!({ "incident": line.incident, "notice": line.kind, "title": line.title, "severity": line.severity });
    Notice {
        thread: id.clone(),
        kind: NoticeKind::Digest,
        time: interval.start(),
        measures,
        slices,
        direction: None,
        severity: most(&|line| line.severity),
        score: most(&|line| line.score),
        text: [std::slice::from_ref(&title), &lines[..lines.len().min(5)]].concat().join("\n"),
        long_text: [std::slice::from_ref(&title), &lines].concat().join("\n"),
        body: serde_json::json!({ "id": id, "notices": shown.iter().map(entry).collect::<Vec<_>>() }),
        title,
        id,
    }
}
