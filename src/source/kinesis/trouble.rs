//! What is said about shards that do not answer: a line when it begins, one a minute while it lasts, one when it is
//! over; and never a storm, however many shards there are.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::SourcePartition;

/// Between two lines, unless all is well again.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two lines about the same trouble.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// The shards that do not answer.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shards: BTreeSet<SourcePartition>,
    /// When a line was last written.
    told: Option<Instant>,
    /// Whether a line said that there is trouble, and none that it is over.
    is_told: bool,
}

impl State {
    /// Whether a line may be written, and writes it down.
    fn may_tell(&mut self, interval: Duration) -> bool {
        let may = self.told.is_none_or(|told| told.elapsed() >= interval);
        if may {
            self.told = Some(Instant::now());
        }
        may
    }
}

impl Trouble {
    /// A try to read a shard failed.
    pub(super) fn lasts(&self, shard: &SourcePartition, reason: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = state.shards.insert(shard.clone());
        let is_first = is_new || !state.is_told;
        if state.may_tell(if is_first { LINE_INTERVAL } else { REMINDER_INTERVAL }) {
            state.is_told = true;
            match state.shards.len() {
                1 => tracing::warn!("shard `{shard}` cannot be read, trying again: {reason}"),
                count => tracing::warn!("{count} shards cannot be read, trying again; shard `{shard}`: {reason}"),
            }
        }
    }

    /// A shard was read.
    pub(super) fn is_over(&self, shard: &SourcePartition) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.shards.remove(shard) || !state.is_told {
            return;
        }
        let left = state.shards.len();
        if left == 0 {
            state.is_told = false;
            tracing::info!("shard `{shard}` is read again; all shards are");
        } else if state.may_tell(LINE_INTERVAL) {
            tracing::info!("shard `{shard}` is read again; {left} are not yet");
        }
    }
}
