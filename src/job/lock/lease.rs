//! A lock in a bucket: the object `_lease`, which its owner replaces every few seconds. Who finds one watches it for as
//! long as a lease lasts, by the clock of its own that never goes back: a lease that changes meanwhile is held, one
//! that does not is taken over. No two clocks are ever compared. Every write is conditional on what was seen before,
//! so that of two who take over one wins, and an owner that was away too long finds out that it is none any more.
//!
//! A lease that was released says so; one whose owner was killed on this very machine is taken over at once.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::LockError;
use super::process::{self, Process};
use crate::store::{Created, Replaced, Store, Version};

/// Invisible to those who read partitions.
const NAME: &str = "_lease";

/// The rhythm of leases. All jobs on one state must have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How often the owner renews.
    pub beat: Duration,
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// How often one who watches looks.
    pub look: Duration,
}

impl Default for Times {
    /// A beat costs one request (about 17,000 a day); three of them may be missed before a lease is lost, which a slow
    /// answer or a short outage must not bring about.
    fn default() -> Times {
        Times { beat: Duration::from_secs(5), lease: Duration::from_secs(15), look: Duration::from_secs(1) }
    }
}

/// How long letting go may take: nobody waits for it longer than for a lease to end.
const RELEASE: Duration = Duration::from_secs(5);

/// What the object says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// A name that no other process has.
    owner: String,
    host: String,
    #[serde(flatten)]
    process: Process,
    /// So many times it was renewed.
    beat: u64,
    /// Whether the owner has let go of it.
    released: bool,
}

impl Note {
    fn new() -> Note {
        let (owner, host, process) = (process::unique(), process::host(), Process::current());
        Note { owner, host, process, beat: 0, released: false }
    }

    fn encode(&self) -> Result<Bytes, LockError> {
        Ok(Bytes::from(serde_json::to_vec(self)?))
    }

    /// Who it is, for messages; a note of another version tells nothing.
    fn holder(bytes: &[u8]) -> String {
        match serde_json::from_slice::<Note>(bytes) {
            Ok(note) => format!("process {} on `{}`", note.process.pid(), note.host),
            Err(_) => format!("`{NAME}` does not say which"),
        }
    }
}

/// How the lease stands.
#[derive(Clone, Debug)]
enum Standing {
    /// It was ours at this moment.
    Held(Instant),
    /// It is another one's.
    Lost(String),
}

/// A lease that is held.
#[derive(Debug)]
pub(super) struct Lease {
    url: String,
    times: Times,
    standing: watch::Receiver<Standing>,
    stop: watch::Sender<bool>,
    heart: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Lease {
    /// Takes the lease, waiting for a dead one to end.
    pub(super) async fn take(store: Store, times: Times) -> Result<Lease, LockError> {
        let note = Note::new();
        let version = acquire(&store, &note, times).await?;
        let (said, standing) = watch::channel(Standing::Held(Instant::now()));
        let (stop, stopped) = watch::channel(false);
        let url = store.url().to_owned();
        let heart = Heart { store, note, version, times, said, stopped };
        let heart = tokio::sync::Mutex::new(Some(tokio::spawn(heart.run())));
        Ok(Lease { url, times, standing, stop, heart })
    }

    pub(super) async fn lost(&self) -> LockError {
        let mut standing = self.standing.clone();
        let lost = standing.wait_for(|standing| matches!(standing, Standing::Lost(_))).await;
        match lost.as_deref() {
            Ok(Standing::Lost(holder)) => self.error(holder),
            // the heart stops when the lease is let go of
            _ => std::future::pending().await,
        }
    }

    pub(super) async fn confirm(&self) -> Result<(), LockError> {
        let mut standing = self.standing.clone();
        let lease = self.times.lease;
        let known = |standing: &Standing| match standing {
            Standing::Held(at) => at.elapsed() < lease,
            Standing::Lost(_) => true,
        };
        match standing.wait_for(known).await.as_deref() {
            Ok(Standing::Lost(holder)) => Err(self.error(holder)),
            Ok(Standing::Held(_)) => Ok(()),
            Err(_) => Err(self.error("its lease was let go of")),
        }
    }

    /// Stops renewing, and says so in the object: who comes next need not wait.
    pub(super) async fn release(&self) {
        self.stop.send_replace(true);
        let Some(mut heart) = self.heart.lock().await.take() else { return };
        if timeout(RELEASE, &mut heart).await.is_err() {
            heart.abort();
            tracing::warn!("the lease of {} could not be let go of; it ends by itself", self.url);
        }
    }

    fn error(&self, holder: &str) -> LockError {
        LockError::Lost { url: self.url.clone(), holder: holder.to_owned() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(heart) = self.heart.get_mut().take() {
            heart.abort();
        }
    }
}

/// Becomes the owner.
async fn acquire(store: &Store, note: &Note, times: Times) -> Result<Version, LockError> {
    let ours = note.encode()?;
    loop {
        let Some((seen, version)) = store.get_versioned(NAME).await? else {
            if store.create(NAME, ours.clone()).await? == Created::New
                && let Some((bytes, version)) = store.get_versioned(NAME).await?
                && bytes == ours
            {
                return Ok(version);
            }
            continue;
        };
        let there = serde_json::from_slice::<Note>(&seen).ok();
        let is_free = there.as_ref().is_some_and(|there| there.released || there.process.is_gone());
        if !is_free {
            watch_for(store, &seen, times).await?;
        }
        // of two that come this far one is the first
        if let Replaced::Done(version) = store.replace(NAME, ours.clone(), &version).await? {
            if !is_free {
                tracing::warn!("took over {} from {}, which is gone", store.url(), Note::holder(&seen));
            }
            return Ok(version);
        }
    }
}

/// Watches a lease for as long as one lasts.
async fn watch_for(store: &Store, seen: &Bytes, times: Times) -> Result<(), LockError> {
    let holder = Note::holder(seen);
    tracing::info!("{} is leased to {holder}; watching for {:.0?} whether it is there", store.url(), times.lease);
    let since = Instant::now();
    while since.elapsed() < times.lease {
        sleep(times.look).await;
        match store.get_versioned(NAME).await? {
            Some((bytes, _)) if bytes == *seen => {}
            Some((bytes, _)) if serde_json::from_slice::<Note>(&bytes).is_ok_and(|note| note.released) => return Ok(()),
            None => return Ok(()),
            Some((bytes, _)) => {
                return Err(LockError::Leased { url: store.url().to_owned(), holder: Note::holder(&bytes) });
            }
        }
    }
    Ok(())
}

/// Renews a lease until it is lost or let go of.
struct Heart {
    store: Store,
    note: Note,
    version: Version,
    times: Times,
    said: watch::Sender<Standing>,
    stopped: watch::Receiver<bool>,
}

impl Heart {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        let lost = tokio::select! {
            lost = self.beat() => Some(lost),
            _ = stopped.wait_for(|stop| *stop) => None,
        };
        match lost {
            Some(holder) => {
                tracing::error!("the lease of {} was lost to {holder}", self.store.url());
                self.said.send_replace(Standing::Lost(holder));
            }
            None => self.release().await,
        }
    }

    /// Renews; gives who has the lease when it is lost.
    async fn beat(&mut self) -> String {
        loop {
            sleep(self.times.beat).await;
            // it counts from before the request: when it was served is not known
            let at = Instant::now();
            match self.renew().await {
                Ok(None) => {
                    self.said.send_replace(Standing::Held(at));
                }
                Ok(Some(holder)) => return holder,
                // the store refuses what it allowed before: whoever works on it will say so as well
                Err(error) => tracing::warn!("the lease cannot be renewed: {error}"),
            }
        }
    }

    async fn renew(&mut self) -> Result<Option<String>, LockError> {
        self.note.beat += 1;
        if let Replaced::Done(version) = self.store.replace(NAME, self.note.encode()?, &self.version).await? {
            self.version = version;
            return Ok(None);
        }
        let there = self.store.get_versioned(NAME).await?;
        Ok(Some(there.map_or_else(|| format!("`{NAME}` was deleted"), |(bytes, _)| Note::holder(&bytes))))
    }

    async fn release(&mut self) {
        self.note.released = true;
        self.note.beat += 1;
        let written = match self.note.encode() {
            Ok(bytes) => self.store.replace(NAME, bytes, &self.version).await.map_err(LockError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!("the lease cannot be let go of: {error}");
        }
    }
}
