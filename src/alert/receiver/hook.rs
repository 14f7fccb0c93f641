//! A hook behind the line: a program, an endpoint or a function of the user's own that gets what was found, and says of
//! each notice whether it has it. One that it does not take `retries` times more goes to the error prefix; while it gives
//! no answer at all, notices wait for it.

use std::collections::BTreeMap;

use futures::future::BoxFuture;

use super::{Limits, Outcome, Receiver, Trouble, Writes};
use crate::hook::{After, Now, Settings, Told};
use crate::model::{HookFault, Notice, Timestamp};

/// In base 64 it fits into what Lambda takes.
const BATCH_BYTES_MAX: usize = 3 << 20;

pub(super) struct Hook {
    settings: Settings,
    /// Begun with the first notice.
    after: Option<After>,
    writes: Writes,
    /// How often each notice that is still to be taken was told.
    attempts: BTreeMap<String, u32>,
}

impl Hook {
    pub(super) fn new(settings: Settings, writes: Writes) -> Hook {
        Hook { settings, after: None, writes, attempts: BTreeMap::new() }
    }

    async fn tell(&mut self, told: &[Told], now: Timestamp) -> Result<Vec<Result<(), HookFault>>, HookFault> {
        let after = match self.after.take() {
            Some(after) => after,
            None => After::open(&self.settings).await.map_err(|error| HookFault::Gone(error.to_string()))?,
        };
        self.after.insert(after).tell(told, &Now::of(move || now)).await
    }

    fn outcome(&mut self, id: &str, answer: Result<(), HookFault>) -> Outcome {
        let Err(fault) = answer else {
            self.attempts.remove(id);
            return Outcome::Delivered;
        };
        let attempts = self.attempts.entry(id.to_owned()).or_default();
        *attempts += 1;
        let trouble = Trouble { code: fault.code().to_owned(), message: fault.to_string() };
        if *attempts > self.settings.retries {
            self.attempts.remove(id);
            return Outcome::Refused(trouble);
        }
        Outcome::Failed { trouble, retry_after: None, is_down: false }
    }
}

impl Receiver for Hook {
    fn limits(&self) -> Limits {
        Limits { notices: self.settings.batch_records, bytes: BATCH_BYTES_MAX, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.payload(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            let told = |notice: &&Notice| Told {
                id: notice.id.clone(),
                retry_hint: self.attempts.get(&notice.id).copied().unwrap_or_default(),
                data: self.writes.payload(notice),
            };
            let told: Vec<Told> = notices.iter().map(told).collect();
            match self.tell(&told, now).await {
                Ok(answers) => told.iter().zip(answers).map(|(told, answer)| self.outcome(&told.id, answer)).collect(),
                Err(fault) => notices.iter().map(|_| Outcome::down(fault.code(), fault.to_string())).collect(),
            }
        })
    }
}
