//! Functions of the user's own, before the line and behind it. A function is a program that reads and writes JSON lines, an
//! HTTP endpoint, or an AWS Lambda function; what is asked and answered is the same for all of them, and is that of the
//! functions of Kinesis Analytics.
//!
//! Before the line a hook gets the records on their way from the source to decode and says what becomes of them (`wire`):
//! another record or several, nothing, or that it could not. Behind it one gets what was found and says whether it has it
//! (`after`); it is a receiver like others.
//!
//! A hook can do the line no harm. It has so much time and so many attempts for each batch of records; what it does not
//! answer then, or answers wrongly, is a reject with its bytes and the reason. Records keep their order and their places
//! in the source, whatever becomes of their bytes: a record that becomes several gives each of them a place within its
//! own, so exactly-once holds behind a hook as it does without one. After a crash a hook is asked again about records
//! that come again, in other batches: what it answers must follow from the record alone, or the rows that are committed
//! are those of the one answer and what is learned from them that of the other.
//!
//! How fast: `scripts/bench/hooks` takes 200,000 trades through hooks in Python that decode, parse, change and encode each
//! record, 500 at a time. On two cores that had other work besides, it was 33,000 records a second with one process and
//! 55,000 with two, 37,000 through an endpoint, and 915,000 without a hook: 18 to 30 microseconds a record, of which Python
//! took 7 of processor time to answer.
//!
//! How many records: what a hook makes counts as read, record by record; one that it drops counts as read and filtered,
//! one that it fails as read and rejected (E3).

mod after;
mod call;
mod command;
mod http;
mod lambda;
mod records;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;

use self::call::Caller;
use self::records::{Item, State};
use crate::aws;
use crate::model::{Batch, Chunk, Framing, Reject, Timestamp};

pub use self::after::{After, Told};

/// At most so many bytes of records are asked about at once; in base 64 they fit into what Lambda takes.
const BATCH_BYTES_MAX: usize = 3 << 20;
/// What stands around the data of a record in a request, about.
const FRAME_BYTES: usize = 400;

/// One hook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it is called in rejects and in the log.
    pub name: Arc<str>,
    /// What is called.
    pub target: Target,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Attempts after the first one.
    pub retries: u32,
    /// At most so many records are asked about at once.
    pub batch_records: usize,
    /// So many calls may be under way; a command has as many processes.
    pub in_flight: usize,
    /// A longer answer is none.
    pub answer_bytes_max: usize,
}

/// What is called.
#[derive(Clone, Debug)]
pub enum Target {
    /// A program and its arguments.
    Command(Vec<String>),
    /// An HTTP endpoint.
    Url {
        /// Where it is.
        url: String,
        /// What is sent along.
        headers: Vec<Header>,
    },
    /// A Lambda function.
    Function {
        /// Its name or ARN.
        name: String,
        /// How the service is reached.
        aws: Box<aws::Settings>,
    },
}

impl Target {
    /// Where it is; nothing secret.
    pub fn place(&self) -> String {
        match self {
            // what is behind the program, before the host and behind it may be a secret
            Target::Command(command) => format!("`{}`", command.first().map_or("", String::as_str)),
            Target::Url { url, .. } => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
                let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
                format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default())
            }
            Target::Function { name, .. } => format!("function {name}"),
        }
    }
}

/// A header of a request; its value may be a secret, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// What hooks must know of the records.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where a record ends.
    pub framing: Framing,
    /// A longer record is rejected.
    pub record_bytes_max: usize,
    /// What the source is called.
    pub source: String,
    /// Tells the time, for signatures.
    pub now: Now,
}

/// Tells the time.
#[derive(Clone)]
pub struct Now(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Now {
    /// By this clock.
    pub fn of(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Now {
        Now(Arc::new(clock))
    }

    fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

/// A hook that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The program cannot be started.
    #[error(
        "hook `{hook}`: `{program}` cannot be started: {source}; hint: `command` is a program in the path, or with its path, and its arguments"
    )]
    Command {
        /// The hook.
        hook: Arc<str>,
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The endpoint cannot be called.
    #[error("hook `{hook}` cannot be called: {reason}")]
    Client {
        /// The hook.
        hook: Arc<str>,
        /// Why.
        reason: String,
    },
}

/// The hooks before the line, in their order.
#[derive(Debug)]
pub struct Hooks {
    callers: Vec<Caller>,
    surroundings: Surroundings,
}

/// A chunk behind the hooks.
#[derive(Debug)]
pub struct Hooked {
    /// What is to be decoded.
    pub chunk: Chunk,
    /// Records that a hook gave no use of, by their offsets in the chunk.
    rejects: Vec<Reject>,
    /// Offsets of those that it dropped.
    dropped: Vec<u64>,
}

impl Hooked {
    /// A chunk that no hook has seen.
    pub fn untouched(chunk: Chunk) -> Hooked {
        Hooked { chunk, rejects: Vec::new(), dropped: Vec::new() }
    }

    /// Puts what the hooks kept back where it belongs.
    #[must_use]
    pub fn account(rejects: Vec<Reject>, dropped: Vec<u64>, mut batch: Batch) -> Batch {
        if !rejects.is_empty() {
            batch.rejects.extend(rejects);
            batch.rejects.sort_by_key(|reject| reject.offset);
        }
        batch.dropped = dropped;
        batch
    }

    /// Apart: what is to be decoded, what is rejected, what is dropped.
    pub fn into_parts(self) -> (Chunk, Vec<Reject>, Vec<u64>) {
        (self.chunk, self.rejects, self.dropped)
    }
}

impl Hooks {
    /// Begins the hooks: programs are started, so that one that is not there is found out before anything is read.
    ///
    /// # Errors
    /// When one of them cannot begin.
    pub async fn open(settings: &[Settings], surroundings: Surroundings) -> Result<Hooks, HookError> {
        let mut callers = Vec::new();
        for settings in settings {
            callers.push(Caller::open(settings).await?);
        }
        Ok(Hooks { callers, surroundings })
    }

    /// Sends the records of a chunk through all hooks.
    pub async fn apply(&self, chunk: Chunk) -> Hooked {
        let Surroundings { framing, record_bytes_max, .. } = self.surroundings;
        let mut items = records::split(&chunk, framing, record_bytes_max);
        let Some(last) = self.callers.last().filter(|_| !items.is_empty()) else { return Hooked::untouched(chunk) };
        for caller in &self.callers {
            items = self.one(caller, &chunk, items).await;
        }
        records::assemble(chunk, items, last.name())
    }

    /// Sends what is still on its way through one hook.
    async fn one(&self, caller: &Caller, chunk: &Chunk, items: Vec<Item>) -> Vec<Item> {
        let batches = batches(&items, caller.batch_records());
        let calls = batches.into_iter().map(|batch| caller.call(&self.surroundings, chunk, batch));
        let mut outcomes = futures::stream::iter(calls).buffered(caller.in_flight()).flat_map(futures::stream::iter);
        let mut after = Vec::with_capacity(items.len());
        for item in &items {
            match &item.state {
                State::Live(_) => match outcomes.next().await {
                    Some(outcome) => item.become_all(outcome, caller.name(), self.surroundings.framing, &mut after),
                    // every record that is asked about has an outcome
                    None => after.push(item.clone()),
                },
                State::Dropped | State::Rejected(..) => after.push(item.clone()),
            }
        }
        after
    }
}

/// The records that are still on their way, in runs of at most so many records and bytes.
fn batches(items: &[Item], records_max: usize) -> Vec<Vec<&Item>> {
    let mut batches: Vec<Vec<&Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let State::Live(data) = &item.state else { continue };
        let is_full =
            |batch: &Vec<&Item>| batch.len() >= records_max || bytes + data.len() + FRAME_BYTES > BATCH_BYTES_MAX;
        match batches.last_mut().filter(|batch| !is_full(batch)) {
            Some(batch) => batch.push(item),
            None => {
                batches.push(vec![item]);
                bytes = 0;
            }
        }
        bytes += data.len() + FRAME_BYTES;
    }
    batches
}

#[cfg(test)]
mod tests;
