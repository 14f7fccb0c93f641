//! Shards that lag: the clock has passed an interval, other shards have too, and one that has more to give has not, so that
//! nothing closes and nothing is judged. That is an incident of data of its own for each such shard, told by the clock,
//! interval by interval as it passes them. A silent shard does not lag: nobody waits for it longer than `idle_timeout`.
//!
//! Which shard is read how far is not in the partitions: a backtest knows nothing of it, and the incidents here are beside
//! all others. They are over when no interval waits for the shard any more.

use serde::{Deserialize, Serialize};

use super::life::Life;
use super::orders::Waiting;
use super::teller::Teller;
use super::{Command, Incidents, Turns};
use crate::model::{IncidentChanges, Interval, NoticeKind};

/// Shards that lag, and what is told of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lagging {
    lives: Vec<Life>,
    teller: Teller,
    /// The last interval that the clock had passed.
    until: Option<i64>,
}

impl Incidents {
    /// Whether there is something to follow of shards that lag, or did.
    pub fn is_lagging(&self) -> bool {
        !self.state.lagging.lives.is_empty() || self.state.lagging.teller.is_holding()
    }

    /// Takes in which shards hold an interval open while the clock has passed one; none of them does where there are none.
    /// An interval that is not later than the last is ignored.
    pub fn lag(&mut self, until: Interval, held: Interval, shards: &[String]) -> IncidentChanges {
        let now = until.number();
        let passed = self.state.lagging.until.map_or(1, |last| now - last);
        if passed < 1 {
            return IncidentChanges::default();
        }
        let mut lagging = std::mem::take(&mut self.state.lagging);
        lagging.until = Some(now);
        lagging.lives.iter_mut().for_each(|life| life.pass(passed - 1));
        self.attend(&mut lagging.lives, now);
        let mut turns = Turns::default();
        let steps = self.settings.steps.clone();
        for shard in shards {
            if !lagging.lives.iter().any(|life| life.shard.as_deref() == Some(shard)) {
                let hash = crc32fast::hash(shard.as_bytes());
                let id = format!("incident-{}-{hash:08x}", held.start().format("%Y%m%d-%H%M"));
                lagging.lives.push(Life::of_shard(id, shard, held.number(), now));
            }
        }
        for life in &mut lagging.lives {
            let lags = life.shard.as_ref().is_some_and(|shard| shards.contains(shard));
            let turn = life.step_data(lags.then_some(1.0), &self.settings.rules, &steps, now);
            turns.note(life, turn);
        }
        // the same words and rules, about others
        std::mem::swap(&mut self.state.lives, &mut lagging.lives);
        std::mem::swap(&mut self.state.teller, &mut lagging.teller);
        let mut changes = self.tell(until, &turns);
        std::mem::swap(&mut self.state.lives, &mut lagging.lives);
        std::mem::swap(&mut self.state.teller, &mut lagging.teller);
        lagging.lives.retain(|life| {
            let is_over = !life.is_live() && life.ended.is_none_or(|ended| now - ended > steps.reopen_within);
            !is_over && !life.is_forgotten(&self.settings.rules)
        });
        self.state.lagging = lagging;
        for notice in changes.notices.iter_mut().filter(|notice| notice.kind == NoticeKind::Digest) {
            notice.id.push_str("-lagging");
            notice.thread.clone_from(&notice.id);
            notice.body["id"] = notice.id.clone().into();
        }
        self.name_measures(&mut changes);
        changes
    }

    /// Somebody attends to one of them: that does not wait for an interval that is judged.
    fn attend(&mut self, lives: &mut [Life], now: i64) {
        let is_about = |waiting: &Waiting, life: &Life| matches!(&waiting.order.command, Command::Acknowledge { incident, .. } if *incident == life.id);
        let orders = std::mem::take(&mut self.state.orders);
        for waiting in orders {
            match lives.iter_mut().find(|life| is_about(&waiting, life)) {
                Some(life) => {
                    (life.acknowledged, life.changed) = (life.acknowledged.or(Some(now)), true);
                    self.state.obeyed.push(waiting.order.name);
                }
                None => self.state.orders.push(waiting),
            }
        }
    }
}
