//! Commands that wait, and what comes of them: each takes effect once, with the first interval of which nothing was told
//! when it came.

use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::command::{Command, Order};
use super::rules::Matcher;
use super::{Incidents, hour_of_week};
use crate::model::{IncidentState, Interval};

/// Names of commands that are remembered, so that none is obeyed twice.
const OBEYED_MAX: usize = 500;

/// A command that has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    #[serde(flatten)]
    pub(super) order: Order,
    /// The last interval of which anything was told when it came, by the clock too: it takes effect behind that.
    #[serde(default)]
    pub(super) after: Option<i64>,
}

/// A silence that a command began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Timed {
    pub(super) name: String,
    pub(super) matcher: Matcher,
    pub(super) until: i64,
}

impl Incidents {
    /// Takes a command that takes effect with the next interval; false where it has been taken before.
    pub fn order(&mut self, order: Order) -> bool {
        let is_known = self.state.obeyed.contains(&order.name)
            || self.state.orders.iter().any(|waiting| waiting.order.name == order.name);
        if !is_known {
            let after = self.state.ahead.as_ref().map(Ahead::until).max(self.state.last);
            self.state.orders.push(Waiting { order, after });
        }
        !is_known
    }

    /// Obeys the commands that have come.
    pub(super) fn obey(&mut self, interval: Interval) {
        let now = interval.number();
        let seconds = u64::from(interval.length().seconds());
        let is_early = |waiting: &Waiting| {
            let is_unseen = matches!(waiting.order.command, Command::Acknowledge { seen, .. } if seen >= now);
            is_unseen || waiting.after.is_some_and(|after| after >= now)
        };
        let (early, due): (Vec<Waiting>, Vec<Waiting>) =
            std::mem::take(&mut self.state.orders).into_iter().partition(is_early);
        self.state.orders = early;
        for Waiting { order: Order { name, command }, .. } in due {
            match command {
                Command::Acknowledge { incident, .. } => {
                    let told = self.state.lives.iter_mut().find(|life| life.id == incident && life.is_live());
                    if let Some(life) = told.filter(|life| life.acknowledged.is_none()) {
                        (life.acknowledged, life.changed) = (Some(now), true);
                        if life.state == IncidentState::Expired {
                            life.state = IncidentState::Open;
                        }
                    }
                }
                Command::Silence { name, matcher, seconds: lasts } => {
                    let until = now.saturating_add(i64::try_from(lasts.div_ceil(seconds)).unwrap_or(i64::MAX));
                    self.state.silences.retain(|silence| silence.name != name);
                    self.state.silences.push(Timed { name, matcher, until });
                }
                Command::Unsilence { name } => self.state.silences.retain(|silence| silence.name != name),
                Command::Feedback { incident, about, since, opinion } => {
                    let hour = hour_of_week(since);
                    self.state.feedback.give(&incident, about, opinion, (now, hour));
                }
            }
            self.state.obeyed.push(name);
        }
        let obeyed = &mut self.state.obeyed;
        obeyed.drain(..obeyed.len().saturating_sub(OBEYED_MAX));
        self.state.silences.retain(|silence| silence.until > now);
    }
}
