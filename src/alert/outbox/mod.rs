//! What is to be delivered lies here until it is: durable, bounded, and off the line.
//!
//! ```text
//! <state>/outbox/<route>/YYYYMMDD-HHMMSS-<hash>-<count>.jsonl
//! <state>/outbox/<route>/YYYYMMDD-HHMMSS-<hash>-<part>-<count>.jsonl
//! ```
//!
//! Notices of one interval are written as one object, or several where they are many, before the checkpoint passes their
//! interval. Its name follows from the interval and the notices' ids, so a job that does an interval again after a crash writes the same object, and
//! nothing is lost however often it is killed. A courier of its own sends what lies here, so that no receiver holds up
//! the line, and removes an object once all its notices are delivered. A crash after a delivery and before the removal
//! repeats it, with the same ids (A1).
//!
//! What cannot be delivered goes to the error prefix (`undelivered`): at once where the receiver refuses it for good, after
//! `retry_for` where it fails, and the oldest where more waits than the outbox may hold.

mod courier;
mod objects;
mod undelivered;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::receiver::Receiver;
use super::route::Pace;
use crate::model::{Interval, Notice, Timestamp};
use crate::store::{Store, StoreError};

use courier::Courier;
use objects::Objects;

pub(super) use objects::hash;
pub use objects::{OutboxError, waiting_elsewhere};
pub use undelivered::Undelivered;

/// The folder of all outboxes.
pub const OUTBOX: &str = "outbox";

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The outbox of one route, and its courier, which ends with it.
pub struct Outbox {
    objects: Objects,
    now: Now,
    to_courier: mpsc::UnboundedSender<objects::Entry>,
    left: Arc<watch::Sender<u64>>,
    flush: watch::Sender<bool>,
    _courier: JoinSet<()>,
}

impl Outbox {
    /// Opens the outbox of a route in a job's state, and begins to send what was left there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        state: &Store,
        route: &str,
        receiver: Box<dyn Receiver>,
        pace: Pace,
        undelivered: Undelivered,
        now: Now,
    ) -> Result<Outbox, StoreError> {
        let objects = Objects::new(state.clone(), route);
        let waiting = objects.list().await?;
        let count = waiting.iter().map(|entry| entry.notices).sum();
        if count > 0 {
            tracing::info!("{count} notices for `{route}` were not delivered before; they are sent now");
        }
        let left = Arc::new(watch::Sender::new(count));
        let (to_courier, incoming) = mpsc::unbounded_channel();
        let (flush, flushed) = watch::channel(false);
        let courier = Courier::new(
            route,
            objects.clone(),
            receiver,
            (pace, undelivered, Arc::clone(&now)),
            (waiting, incoming, Arc::clone(&left), flushed),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(courier.work());
        Ok(Outbox { objects, now, to_courier, left, flush, _courier: tasks })
    }

    /// Takes notices of one interval; they are durable when this returns, and sent by and by. What is there already is
    /// not taken twice.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put(&self, interval: Interval, notices: &[&Notice]) -> Result<(), OutboxError> {
        if notices.is_empty() {
            return Ok(());
        }
        for entry in self.objects.create(interval, notices, (self.now)()).await? {
            self.left.send_modify(|left| *left += entry.notices);
            // a courier that is gone has left its reason; the object stays
            let _ = self.to_courier.send(entry);
        }
        Ok(())
    }

    /// Sends what waits, buffers included, until nothing is left, nothing has been delivered for `still`, or `most` is
    /// over; gives how many notices are left.
    pub async fn drain(&self, still: Duration, most: Duration) -> u64 {
        self.flush.send_replace(true);
        let end = Instant::now() + most;
        let mut left = self.left.subscribe();
        loop {
            let count = *left.borrow_and_update();
            let rest = still.min(end.saturating_duration_since(Instant::now()));
            if count == 0 || !matches!(timeout(rest, left.changed()).await, Ok(Ok(()))) {
                return count;
            }
        }
    }
}

#[cfg(test)]
mod tests;
