//! What is forgotten: incidents that are over and will not come back, and, in a storm of causes, what matters least.

use super::Incidents;
use super::life::Life;
use crate::model::IncidentState;

/// Incidents that are remembered at the same time, those that are over too.
pub(super) const LIVES_MAX: usize = 1000;

impl Incidents {
    /// Forgets what is over and will not come back.
    pub(super) fn forget(&mut self, now: i64) {
        let steps = &self.settings.steps;
        let is_over = |life: &Life| {
            let kept = match life.state {
                IncidentState::Resolved if !life.is_of_source() => steps.reopen_within.max(life.swing()),
                IncidentState::Merged => 0,
                _ => steps.day.max(steps.reopen_within),
            };
            !life.is_live() && life.ended.is_some_and(|ended| now - ended.max(life.absorbed) > kept)
        };
        self.state.lives.retain(|life| !is_over(life));
    }

    /// Forgets one where there are too many: the one that ended first, else the least sure of those that have not opened.
    /// False where all are open: then what is sighted begins no other.
    pub(super) fn make_room(&mut self) -> bool {
        let lives = &mut self.state.lives;
        if lives.len() < LIVES_MAX {
            return true;
        }
        let ended = |(at, life): (usize, &Life)| Some((life.ended.filter(|_| !life.is_live())?, at));
        let pending = lives.iter().enumerate().filter(|(_, life)| life.state == IncidentState::Pending);
        let least = || pending.min_by(|a, b| a.1.surprise.total_cmp(&b.1.surprise)).map(|(at, _)| at);
        let at = lives.iter().enumerate().filter_map(ended).min().map(|(_, at)| at).or_else(least);
        at.map(|at| lives.remove(at)).is_some()
    }
}
