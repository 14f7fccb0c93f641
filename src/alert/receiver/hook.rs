//! A hook behind the line: a program, an endpoint or a function of the user's own that gets what was found, and says of
//! each notice whether it has it. One that it does not take `retries` times more goes to the error prefix; while it gives
//! no answer at all, notices wait for it. One that it gives no answer to while it answers for another one is not taken.

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
    /// A batch failed as a whole: so many notices are asked about one by one.
    alone: usize,
    /// Which one behind the first shows whether the hook answers at all.
    behind: usize,
}

impl Hook {
    pub(super) fn new(settings: Settings, writes: Writes) -> Hook {
        Hook { settings, after: None, writes, attempts: BTreeMap::new(), alone: 0, behind: 0 }
    }

    async fn ask(&mut self, told: &[Told], now: Timestamp) -> Result<Vec<Result<(), HookFault>>, HookFault> {
        let after = match self.after.take() {
            Some(after) => after,
            None => After::open(&self.settings).await.map_err(|error| HookFault::Gone(error.to_string()))?,
        };
        self.after.insert(after).tell(told, &Now::of(move || now)).await
    }

    /// What became of each of them, where the hook answers.
    async fn tell(&mut self, notices: &[&Notice], now: Timestamp) -> Result<Vec<Outcome>, HookFault> {
        let told = |notice: &&Notice| Told {
            id: notice.id.clone(),
            retry_hint: self.attempts.get(&notice.id).copied().unwrap_or_default(),
            data: self.writes.payload(notice),
        };
        let told: Vec<Told> = notices.iter().map(told).collect();
        let answers = self.ask(&told, now).await?;
        Ok(told.iter().zip(answers).map(|(told, answer)| self.outcome(&told.id, answer)).collect())
    }

    /// Asks about the first one. Where there is no answer, another one shows whose fault that is: each time the next one,
    /// as that one may be at fault too.
    async fn tell_alone(&mut self, notices: &[&Notice], now: Timestamp) -> Vec<Outcome> {
        let Some((first, rest)) = notices.split_first() else { return Vec::new() };
        let fault = match self.tell(std::slice::from_ref(first), now).await {
            Ok(outcomes) => {
                self.alone = self.alone.saturating_sub(1);
                return outcomes;
            }
            Err(fault) => fault,
        };
        if self.behind >= rest.len() {
            self.behind = 0;
        }
        let Some(other) = rest.get(self.behind) else { return down(notices, &fault) };
        // counted at once: who asks may not wait for the answer
        let behind = self.behind;
        self.behind += 1;
        match self.tell(std::slice::from_ref(other), now).await {
            Ok(answered) => {
                self.behind = behind;
                self.alone = self.alone.saturating_sub(1).max(1);
                let mut outcomes = vec![self.outcome(&first.id, Err(fault))];
                outcomes.resize(behind + 1, Outcome::Untried);
                outcomes.extend(answered);
                outcomes
            }
            Err(_) => down(notices, &fault),
        }
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
        // with one behind the first, also where the hook gets them one by one
        let notices = self.settings.batch_records.max(2);
        Limits { notices, bytes: BATCH_BYTES_MAX, one_by_one: false, buffer: None }
    }

    fn payload(&self, notice: &Notice) -> Vec<u8> {
        self.writes.kept(notice)
    }

    fn deliver<'a>(&'a mut self, notices: &'a [&'a Notice], now: Timestamp) -> BoxFuture<'a, Vec<Outcome>> {
        Box::pin(async move {
            if self.alone > 0 {
                return self.tell_alone(notices, now).await;
            }
            let batch = &notices[..notices.len().min(self.settings.batch_records.max(1))];
            match self.tell(batch, now).await {
                Ok(outcomes) => outcomes,
                Err(fault) => {
                    (self.alone, self.behind) = (batch.len(), 0);
                    down(batch, &fault)
                }
            }
        })
    }
}

/// The hook gives no answer.
fn down(notices: &[&Notice], fault: &HookFault) -> Vec<Outcome> {
    vec![Outcome::down(fault.code(), fault.to_string()); notices.len()]
}
