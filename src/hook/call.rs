//! One hook: a batch of records is asked about within a time, again after a pause where that fails, and so often and no
//! more. What fails is noted in the log once, and once when it works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::command::Processes;
use super::http::Endpoint;
use super::lambda::Function;
use super::records::Item;
use super::wire::{self, Outcome};
use super::{HookError, Now, Settings, Surroundings, Target};
use crate::model::{Chunk, HookFault};

/// The first pause; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A hook that can be called.
#[derive(Debug)]
pub(super) struct Caller {
    settings: Settings,
    callee: Callee,
    /// For so many calls at once; who waits for it has not begun.
    room: Semaphore,
    /// Whether the last call failed for good.
    is_failing: AtomicBool,
}

#[derive(Debug)]
enum Callee {
    Command(Processes),
    Http(Box<Endpoint>),
    Lambda(Box<Function>),
}

impl Caller {
    pub(super) async fn open(settings: &Settings) -> Result<Caller, HookError> {
        let callee = match &settings.target {
            Target::Command(command) => Callee::Command(Processes::start(settings, command)?),
            Target::Url { url, headers } => Callee::Http(Box::new(Endpoint::new(settings, url, headers)?)),
            Target::Function { name, aws } => Callee::Lambda(Box::new(Function::open(settings, name, aws).await?)),
        };
        let room = Semaphore::new(settings.in_flight.max(1));
        Ok(Caller { settings: settings.clone(), callee, room, is_failing: AtomicBool::new(false) })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub(super) fn batch_records(&self) -> usize {
        self.settings.batch_records.max(1)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.settings.in_flight.max(1)
    }

    /// Asks about some records; gives an outcome for each.
    pub(super) async fn call(&self, surroundings: &Surroundings, chunk: &Chunk, batch: Vec<&Item>) -> Vec<Outcome> {
        // nobody closes it
        let _room = self.room.acquire().await;
        let request = wire::request(surroundings, chunk, &batch);
        let mut fault = HookFault::Timeout;
        for attempt in 0..=self.settings.retries {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            let read = |answer: &[u8]| wire::outcomes(answer, &batch);
            match self.once(&request, &surroundings.now, &read).await {
                Ok(outcomes) => {
                    if self.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("hook `{}` answers again", self.settings.name);
                    }
                    return outcomes;
                }
                Err(again) => fault = again,
            }
        }
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let attempts = u64::from(self.settings.retries) + 1;
            tracing::warn!(
                "hook `{}` failed {attempts} times in a row: {fault}; the records are rejected",
                self.settings.name
            );
        }
        vec![Outcome::Fault(fault); batch.len()]
    }

    /// One attempt.
    pub(super) async fn once<T>(
        &self,
        request: &Bytes,
        now: &Now,
        read: &impl Fn(&[u8]) -> Result<T, HookFault>,
    ) -> Result<T, HookFault> {
        let answer = async {
            match &self.callee {
                Callee::Command(processes) => processes.exchange(request, read).await,
                Callee::Http(endpoint) => read(&endpoint.post(request.clone()).await?),
                Callee::Lambda(function) => read(&function.invoke(request, now).await?),
            }
        };
        tokio::time::timeout(self.settings.timeout, answer).await.unwrap_or(Err(HookFault::Timeout))
    }
}

/// How long to wait before an attempt, from 1.
fn pause(attempt: u32) -> Duration {
    PAUSE.saturating_mul(1 << (attempt - 1).min(10)).min(PAUSE_MAX)
}
