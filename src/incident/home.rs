//! Which incident a sighting belongs to.

use super::life::Life;
use super::rules::Steps;
use super::scene::{Scene, Sighting};
use super::slice::{Lies, Slice};
use crate::model::IncidentState;

/// Of what two slices have together, that those of one incident share.
const SIMILAR: f64 = 0.5;
/// Intervals between the beginnings of what broke together.
const TOGETHER: i64 = 1;

/// Of the deviation of a sighting, that lies in the slice of an incident where it is nothing new.
const EXPLAINED: f64 = 0.5;

/// What a sighting is to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// A part that it has.
    Part(usize),
    /// A part that it gets: this slice of the measure that is sighted, of which the sighting may be a piece.
    New(Slice),
    /// What is known to be the new level, as it goes on.
    Learned,
    /// Nothing that its slices do not say already: the swing back after its end, or a slice that deviates because one
    /// of them does.
    Known,
}

/// How well a sighting fits, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It deviates because a slice of the incident does.
    Explained,
    /// The swing to the other side after its end.
    Echo,
    /// Another cause of the same measure that began with it.
    BesideIt,
    /// It shares half of a slice.
    Similar,
    /// It is wider or narrower.
    Nested,
    /// The same.
    Same,
}

/// The incident that fits best; of several, one that goes on, and of these the oldest.
pub(super) fn find(
    lives: &[Life],
    sighting: &Sighting,
    scene: &Scene<'_>,
    steps: &Steps,
    now: i64,
) -> Option<(usize, Home)> {
    let mut best: Option<((Fit, u8), usize, Home)> = None;
    for (at, life) in lives.iter().enumerate() {
        let since_end = life.ended.map_or(0, |ended| now - ended.max(life.absorbed + 1));
        let is_back = life.state == IncidentState::Resolved && since_end <= steps.reopen_within;
        let is_swing = life.state == IncidentState::Resolved && since_end <= life.swing();
        let is_learned = life.state == IncidentState::LevelShift && since_end <= steps.day;
        if life.is_of_source() || !(life.is_live() || is_back || is_swing || is_learned) {
            continue;
        }
        let Some((fit, home)) = fits(life, sighting, scene, (steps, now)) else { continue };
        let home = match home {
            Home::New(_) if !life.is_live() => continue,
            Home::Part(part) if is_learned && !life.goes_beyond(part, sighting, scene) => Home::Learned,
            Home::Part(_) if is_learned || !(life.is_live() || is_back) => continue,
            home => home,
        };
        let rank = (fit, standing(life));
        if best.as_ref().is_none_or(|(there, ..)| *there < rank) {
            best = Some((rank, at, home));
        }
    }
    best.map(|(_, at, home)| (at, home))
}

/// How much an incident is worth beside others that fit as well: one that goes on, a level that was learned, one that is not
/// believed yet, one that is over.
fn standing(life: &Life) -> u8 {
    match life.state {
        _ if life.is_open() => 3,
        IncidentState::LevelShift => 2,
        IncidentState::Pending => 1,
        _ => 0,
    }
}

fn fits(life: &Life, sighting: &Sighting, scene: &Scene<'_>, (steps, now): (&Steps, i64)) -> Option<(Fit, Home)> {
    let mut best: Option<(Fit, Home)> = None;
    let mut offer = |fit: Fit, home: Home| {
        if best.as_ref().is_none_or(|(there, _)| *there < fit) {
            best = Some((fit, home));
        }
    };
    let together = (life.since - sighting.onset).abs() <= TOGETHER;
    // a weaker signal shows later
    let soon = sighting.onset >= life.since - TOGETHER && now - life.first <= steps.hour;
    let is_level = life.state == IncidentState::LevelShift;
    let goes_on = life.is_live() && life.state != IncidentState::Closing;
    let has_measure = life.parts.iter().any(|part| part.measure == sighting.measure);
    for (at, part) in life.parts.iter().enumerate() {
        let is_same = part.measure == sighting.measure && part.direction == sighting.direction;
        let lies = part.slice.lies(&sighting.slice);
        let fit = match lies {
            Lies::Same => Some(Fit::Same),
            Lies::Around | Lies::Within if is_same => Some(Fit::Nested),
            Lies::Around => Some(Fit::Nested),
            _ if scene.overlap(&sighting.measure, &part.slice, &sighting.slice) >= SIMILAR => Some(Fit::Similar),
            _ => None,
        };
        match fit {
            Some(fit) if is_same => offer(fit, Home::Part(at)),
            // the forecast had followed it, and has to come back
            Some(_) if is_level && part.has_moved(sighting.direction, scene) => {}
            Some(_) if part.measure == sighting.measure && !(goes_on && part.is_held_by(scene)) => {
                offer(Fit::Echo, Home::Known);
            }
            Some(fit) if !has_measure && soon => offer(fit, Home::New(part.slice.clone())),
            None if is_same
                && (life.is_open() || !life.is_live())
                && scene.explained(sighting, &part.slice) >= EXPLAINED =>
            {
                offer(Fit::Explained, Home::Known);
            }
            _ => {}
        }
        // the causes of one deviation, as long as it is new
        if is_same && together && sighting.is_cause && part.share != 0.0 && now - life.first <= TOGETHER {
            offer(Fit::BesideIt, Home::New(sighting.slice.clone()));
        }
    }
    best
}
