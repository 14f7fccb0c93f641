//! Feedback: what people thought of earlier incidents shifts the severity of similar ones.
//!
//! Similar is the same measure and side, and a slice that shares at least half. `useful` raises by 15, `expected` lowers
//! by 15, and half of it is forgotten in 30 days; all of it together shifts by 15 at most. A severity of 90 or more is
//! never lowered. `wrong cause` says that something was wrong all the same: it shifts nothing, and is kept.

use serde::{Deserialize, Serialize};

use super::command::{About, Opinion};
use super::scene::Scene;
use super::slice::{Lies, Slice};
use crate::model::{Incident, IncidentCause};

/// Points of severity that one opinion shifts, and all together at most.
const SHIFT: f64 = 15.0;
/// Severity that is never lowered.
const KEPT: f64 = 90.0;
/// Days in which half of it is forgotten.
const HALF_LIFE_DAYS: f64 = 30.0;
/// Of what two slices have together, that similar ones share.
const SIMILAR: f64 = 0.5;
/// Opinions that are kept.
const KEPT_MAX: usize = 1000;

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Of which incident.
    pub incident: String,
    about: Vec<About>,
    /// What was said.
    pub opinion: Opinion,
    /// The interval with which it took effect.
    at: i64,
    /// Hour of the week of the incident's first interval, from Monday 00:00.
    pub hour: u32,
}

/// All that was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Feedback(Vec<Given>);

impl Feedback {
    /// Takes an opinion in; a later one about the same incident replaces it.
    pub(super) fn give(&mut self, incident: &str, about: Vec<About>, opinion: Opinion, (at, hour): (i64, u32)) {
        self.0.retain(|given| given.incident != incident);
        self.0.push(Given { incident: incident.to_owned(), about, opinion, at, hour });
        self.0.drain(..self.0.len().saturating_sub(KEPT_MAX));
    }

    /// What was said, in order.
    pub(super) fn given(&self) -> &[Given] {
        &self.0
    }

    /// Points that the severity of a slice is shifted by.
    pub(super) fn shift(
        &self,
        scene: &Scene<'_>,
        names: &[String],
        (measure, slice, direction): (&str, &Slice, crate::model::Direction),
        (now, per_day): (i64, u32),
    ) -> f64 {
        let mut sum = 0.0;
        for given in &self.0 {
            let is_similar = |about: &About| {
                about.measure == measure
                    && about.direction == direction
                    && scene.overlap(measure, &Slice::of(&about.dimensions, names), slice) >= SIMILAR
            };
            if !given.about.iter().any(is_similar) {
                continue;
            }
            let days = (now - given.at).max(0) as f64 / f64::from(per_day);
            sum += points(given.opinion) * libm::exp2(-days / HALF_LIFE_DAYS);
        }
        sum.clamp(-SHIFT, SHIFT)
    }
}

/// Whether two incidents that are over are alike: a measure and side that both have, in slices of which one has at least
/// half of what was expected in the other.
pub fn is_similar(a: &Incident, b: &Incident, names: &[String]) -> bool {
    let similar = |a: &IncidentCause, b: &IncidentCause| {
        let lies = Slice::of(&a.dimensions, names).lies(&Slice::of(&b.dimensions, names));
        let (less, more) = (a.expected.abs().min(b.expected.abs()), a.expected.abs().max(b.expected.abs()));
        let shares = match lies {
            Lies::Same => true,
            Lies::Around | Lies::Within => less >= SIMILAR * more,
            Lies::Beside => false,
        };
        a.measure == b.measure && a.direction == b.direction && shares
    };
    a.kind == b.kind
        && (a.causes.is_empty() && b.causes.is_empty()
            || a.causes.iter().any(|a| b.causes.iter().any(|b| similar(a, b))))
}

/// Points by which an opinion shifts.
pub fn points(opinion: Opinion) -> f64 {
    match opinion {
        Opinion::Useful => SHIFT,
        Opinion::Expected => -SHIFT,
        Opinion::WrongCause => 0.0,
    }
}

/// A severity with the shift of feedback.
pub fn shifted(severity: f64, by: f64) -> f64 {
    if by < 0.0 && severity >= KEPT { severity } else { (severity + by).clamp(0.0, 100.0) }
}
