//! Sends what lies in one outbox, in the order in which it came, as many at once as the receiver takes. What fails for a
//! reason that passes is sent again after a pause that doubles and is spread by chance; what comes after it is tried too,
//! so that one notice that a receiver chokes on holds up no other, nor do many: those that fail by themselves in a batch wait
//! beside what comes later, as far as the outbox goes. Notices of one thread keep their order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::objects::{Content, Entry, Objects, OutboxError};
use super::undelivered::{Failed, Undelivered};
use super::{Now, Pace};
use crate::alert::receiver::{Limits, Outcome, Receiver, Trouble};
use crate::model::{Notice, Timestamp};
use crate::store::StoreError;

/// How often trouble that lasts is told.
const REMINDER: Duration = Duration::from_secs(60);
/// No receiver is waited for longer than this because it says so.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Of what is taken one by one, so many are looked at, so that those that fail again and again are passed.
const AHEAD_ROUNDS: usize = 8;

pub(super) struct Courier {
    route: String,
    objects: Objects,
    receiver: Box<dyn Receiver>,
    limits: Limits,
    pace: Pace,
    undelivered: Undelivered,
    now: Now,
    incoming: mpsc::UnboundedReceiver<Entry>,
    left: Arc<watch::Sender<u64>>,
    flush: watch::Receiver<bool>,
    /// Objects that are not read yet.
    waiting: VecDeque<Entry>,
    /// Notices that are, in order.
    window: VecDeque<Pending>,
    /// Their objects, with how many of each are still to be delivered.
    open: BTreeMap<Arc<str>, Open>,
    failures: u32,
    told: Told,
    shed: Told,
    jitter: Pcg64Mcg,
}

struct Pending {
    object: Arc<str>,
    arrival: Timestamp,
    attempts: u32,
    /// How often it failed by itself, not because the receiver was down.
    choked: u32,
    bytes: usize,
    notice: Notice,
}

struct Open {
    left: usize,
    bytes: u64,
}

/// Trouble is told when it begins and once a minute.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    count: u64,
}

impl Told {
    /// Counts; gives the count where it is time to tell.
    fn tell(&mut self, count: u64) -> Option<u64> {
        self.count += count;
        if self.last.is_some_and(|last| last.elapsed() < REMINDER) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(self.count)
    }
}

type Inbox = (Vec<Entry>, mpsc::UnboundedReceiver<Entry>, Arc<watch::Sender<u64>>, watch::Receiver<bool>);

impl Courier {
    pub(super) fn new(
        route: &str,
        objects: Objects,
        receiver: Box<dyn Receiver>,
        (pace, undelivered, now): (Pace, Undelivered, Now),
        (waiting, incoming, left, flush): Inbox,
    ) -> Courier {
        let seed = u64::from(std::process::id()) << 32 | u64::from(crc32fast::hash(route.as_bytes()));
        Courier {
            route: route.to_owned(),
            objects,
            limits: receiver.limits(),
            receiver,
            pace,
            undelivered,
            now,
            incoming,
            left,
            flush,
            waiting: waiting.into(),
            window: VecDeque::new(),
            open: BTreeMap::new(),
            failures: 0,
            told: Told::default(),
            shed: Told::default(),
            jitter: Pcg64Mcg::new(u128::from(seed) << 1 | 1),
        }
    }

    /// Works until nobody can bring anything any more.
    pub(super) async fn work(mut self) {
        loop {
            while let Ok(entry) = self.incoming.try_recv() {
                self.waiting.push_back(entry);
            }
            match self.round().await {
                Ok(Next::Round) => {}
                Ok(Next::Wait(pause)) => sleep(pause).await,
                Ok(Next::News(until)) => {
                    let wait = until.unwrap_or(Duration::MAX);
                    tokio::select! {
                        entry = self.incoming.recv() => match entry {
                            Some(entry) => self.waiting.push_back(entry),
                            None => return,
                        },
                        Ok(()) = self.flush.changed() => {}
                        () = sleep(wait) => {}
                    }
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    /// Sends one batch, if there is one to be sent now.
    async fn round(&mut self) -> Result<Next, StoreError> {
        self.keep_the_bound().await?;
        self.fill().await?;
        if self.window.is_empty() {
            return Ok(if self.waiting.is_empty() { Next::News(None) } else { Next::Round });
        }
        if let Some(until) = self.is_buffering() {
            return Ok(Next::News(Some(until)));
        }
        let mut batch = self.pick();
        let now = (self.now)();
        let mut outcomes = {
            let notices: Vec<&Notice> = batch.iter().map(|pending| &pending.notice).collect();
            // a batch that is cut in parts begins none after one time-out, and the last part may take another one
            let requests = if self.limits.one_by_one { u32::try_from(notices.len()).unwrap_or(u32::MAX) } else { 2 };
            let limit = self.pace.timeout.saturating_mul(requests);
            let silent = || vec![Outcome::down("Timeout", "no answer in time"); notices.len()];
            timeout(limit, self.receiver.deliver(&notices, now)).await.unwrap_or_else(|_| silent())
        };
        // one of which nothing is said is sent again
        outcomes.resize(batch.len(), Outcome::Untried);
        batch
            .iter_mut()
            .zip(&outcomes)
            .for_each(|(pending, outcome)| pending.attempts += u32::from(outcome.is_tried()));
        Ok(self.settle(batch, outcomes).await)
    }

    /// Moves the oldest objects that are not being sent to the error prefix where more is here than may be.
    async fn keep_the_bound(&mut self) -> Result<(), StoreError> {
        let held = |courier: &Courier| {
            let open: u64 = courier.open.values().map(|open| open.bytes).sum();
            open + courier.waiting.iter().map(|entry| entry.bytes).sum::<u64>()
        };
        // what a buffer gathers does not wait for the receiver
        let buffered = self.limits.buffer.map_or(0, |_| (self.limits.bytes as u64).saturating_mul(2));
        let most = self.pace.outbox_bytes_max.max(buffered);
        while held(self) > most {
            // what the newest interval brought is tried, however large it is
            let (Some(entry), Some(newest)) = (self.waiting.front().cloned(), self.waiting.back()) else { break };
            if entry.is_with(newest) {
                break;
            }
            if let Some(Content { arrival, notices }) = self.read(&entry).await? {
                let message = format!("more than {most} bytes wait for the receiver");
                let trouble = Trouble { code: "OutboxFull".into(), message };
                let failed = |(notice, _): &(Notice, usize)| self.failed(notice, 0, arrival, trouble.clone());
                let failed: Vec<Failed> = notices.iter().map(failed).collect();
                self.undelivered.write(&failed).await?;
                self.objects.remove(&entry.name).await?;
                if let Some(count) = self.shed.tell(entry.notices) {
                    let (route, place) = (&self.route, self.undelivered.place());
                    tracing::warn!("the outbox of `{route}` is full: {count} of its oldest notices are in {place}");
                }
            }
            self.waiting.pop_front();
            self.less(entry.notices);
        }
        Ok(())
    }

    /// Reads objects until there is enough for a batch.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let rounds = if self.limits.one_by_one { AHEAD_ROUNDS } else { 1 };
        let is_enough = |courier: &Courier| {
            // what failed by itself keeps nothing from being read
            let counts = |pending: &&Pending| courier.limits.one_by_one || pending.choked == 0;
            let window = courier.window.iter().filter(counts);
            let (count, bytes) = window.fold((0, 0), |(count, bytes), pending| (count + 1, bytes + pending.bytes));
            count >= courier.limits.notices.saturating_mul(rounds) || bytes >= courier.limits.bytes
        };
        while !is_enough(self) {
            let Some(entry) = self.waiting.front().cloned() else { break };
            let content = self.read(&entry).await?;
            self.waiting.pop_front();
            let Some(Content { arrival, notices }) = content.filter(|content| !content.notices.is_empty()) else {
                self.less(entry.notices);
                continue;
            };
            let object: Arc<str> = Arc::from(entry.name);
            self.open.insert(Arc::clone(&object), Open { left: notices.len(), bytes: entry.bytes });
            let pending = |(notice, bytes)| Pending {
                object: Arc::clone(&object),
                arrival,
                attempts: 0,
                choked: 0,
                bytes,
                notice,
            };
            self.window.extend(notices.into_iter().map(pending));
        }
        Ok(())
    }

    /// One that cannot be understood stays where it is and is told.
    async fn read(&self, entry: &Entry) -> Result<Option<Content>, StoreError> {
        match self.objects.read(entry).await {
            Ok(content) => Ok(content),
            Err(OutboxError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!("{error}");
                Ok(None)
            }
        }
    }

    /// How long a buffer waits for more, if it does.
    fn is_buffering(&mut self) -> Option<Duration> {
        let buffer = self.limits.buffer?;
        let bytes: usize = self.window.iter().map(|pending| pending.bytes).sum();
        let oldest = self.window.front()?.arrival;
        let waited = (self.now)().micros().saturating_sub(oldest.micros());
        let waited = Duration::from_micros(u64::try_from(waited).unwrap_or(0));
        let is_due = bytes >= self.limits.bytes || waited >= buffer || *self.flush.borrow_and_update();
        (!is_due).then(|| buffer - waited)
    }

    /// Takes a batch out of the window: those that were tried least, each after all earlier ones of its thread.
    fn pick(&mut self) -> Vec<Pending> {
        let picked = if self.limits.one_by_one { self.pick_one_by_one() } else { self.pick_together() };
        let places: BTreeMap<usize, usize> = picked.into_iter().zip(0..).collect();
        let mut batch: Vec<(usize, Pending)> = Vec::new();
        let mut kept = VecDeque::new();
        for (index, pending) in std::mem::take(&mut self.window).into_iter().enumerate() {
            match places.get(&index) {
                Some(place) => batch.push((*place, pending)),
                None => kept.push_back(pending),
            }
        }
        self.window = kept;
        batch.sort_by_key(|(place, _)| *place);
        batch.into_iter().map(|(_, pending)| pending).collect()
    }

    /// Those of a batch that goes as one: a thread is as bad as its worst notice.
    fn pick_together(&self) -> Vec<usize> {
        let mut worst: BTreeMap<&str, u32> = BTreeMap::new();
        for pending in self.window.iter().filter(|pending| pending.choked > 0) {
            let worst = worst.entry(&pending.notice.thread).or_default();
            *worst = pending.choked.max(*worst);
        }
        let mut order: Vec<usize> = (0..self.window.len()).collect();
        order.sort_by_key(|index| worst.get(self.window[*index].notice.thread.as_str()).copied().unwrap_or(0));
        let mut bytes = 0;
        let fits = |index: &usize| {
            bytes += self.window[*index].bytes;
            bytes <= self.limits.bytes || bytes == self.window[*index].bytes
        };
        order.into_iter().take(self.limits.notices).take_while(fits).collect()
    }

    fn pick_one_by_one(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.window.len()).collect();
        order.sort_by_key(|index| self.window[*index].attempts);
        let mut picked: Vec<usize> = Vec::new();
        for index in order {
            let thread = &self.window[index].notice.thread;
            let mut earlier = (0..index).filter(|earlier| self.window[*earlier].notice.thread == *thread);
            if picked.len() < self.limits.notices && earlier.all(|earlier| picked.contains(&earlier)) {
                picked.push(index);
            }
        }
        picked
    }

    /// Follows what became of a batch.
    async fn settle(&mut self, batch: Vec<Pending>, outcomes: Vec<Outcome>) -> Next {
        let (mut done, mut failed, mut again) = (Vec::new(), Vec::new(), Vec::new());
        let mut delivered = 0_u64;
        let mut last: Option<(Trouble, Option<Duration>)> = None;
        let now = (self.now)();
        for (mut pending, outcome) in batch.into_iter().zip(outcomes) {
            let trouble = match outcome {
                Outcome::Delivered => {
                    delivered += 1;
                    done.push(pending.object);
                    continue;
                }
                Outcome::Refused(trouble) => Some(trouble),
                Outcome::Failed { trouble, retry_after, is_down } => {
                    pending.choked += u32::from(!is_down);
                    last = Some((trouble.clone(), retry_after.or(last.and_then(|(_, after)| after))));
                    self.is_over(&pending, now).then_some(trouble)
                }
                // the receiver has just failed for another one
                Outcome::Untried => {
                    last.as_ref().filter(|_| self.is_over(&pending, now)).map(|(trouble, _)| trouble.clone())
                }
            };
            match trouble {
                Some(trouble) => {
                    failed.push(self.failed(&pending.notice, pending.attempts, pending.arrival, trouble));
                    done.push(pending.object);
                }
                None => again.push(pending),
            }
        }
        if let Some(Failed { trouble, .. }) = failed.first() {
            let (count, route, place) = (failed.len(), &self.route, self.undelivered.place());
            tracing::warn!("{count} notices cannot be delivered to `{route}` and are in {place}: {trouble}");
            while let Err(error) = self.undelivered.write(&failed).await {
                self.wait_after(&error).await;
            }
        }
        again.into_iter().rev().for_each(|pending| self.window.push_front(pending));
        for object in done {
            self.done(&object).await;
        }
        self.next(delivered, last)
    }

    fn next(&mut self, delivered: u64, last: Option<(Trouble, Option<Duration>)>) -> Next {
        match last {
            None => {
                if self.failures > 0 && delivered > 0 {
                    tracing::info!("`{}` takes notices again", self.route);
                    self.told = Told::default();
                    self.failures = 0;
                }
                Next::Round
            }
            Some((trouble, retry_after)) => {
                self.failures = if delivered > 0 { 1 } else { self.failures + 1 };
                if let Some(count) = self.told.tell(1) {
                    let times = if count > 1 { format!(", {count} times so far") } else { String::new() };
                    tracing::warn!("cannot deliver to `{}`{times}: {trouble}; trying again", self.route);
                }
                let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                Next::Wait(self.pause().max(asked))
            }
        }
    }

    fn is_over(&self, pending: &Pending, now: Timestamp) -> bool {
        let age = now.micros().saturating_sub(pending.arrival.micros());
        Duration::from_micros(u64::try_from(age).unwrap_or(0)) >= self.pace.retry_for
    }

    fn failed(&self, notice: &Notice, attempts: u32, arrival: Timestamp, trouble: Trouble) -> Failed {
        Failed { id: notice.id.clone(), attempts, arrival, trouble, payload: self.receiver.payload(notice) }
    }

    /// A notice of this object needs nothing more; the object goes with the last.
    async fn done(&mut self, object: &Arc<str>) {
        let Some(open) = self.open.get_mut(object) else { return };
        open.left -= 1;
        if open.left == 0 {
            self.open.remove(object);
            while let Err(error) = self.objects.remove(object).await {
                self.wait_after(&error).await;
            }
        }
        self.less(1);
    }

    /// A store that refuses may take what it is given later.
    async fn wait_after(&mut self, error: &StoreError) {
        tracing::warn!("the outbox of `{}` cannot be kept: {error}; trying again", self.route);
        sleep(self.pace.back_off_max).await;
    }

    fn less(&self, count: u64) {
        self.left.send_modify(|left| *left = left.saturating_sub(count));
    }

    /// From a half of what doubling gives to all of it.
    fn pause(&mut self) -> Duration {
        let doubled = self.pace.back_off.saturating_mul(1 << self.failures.saturating_sub(1).min(20));
        let longest = doubled.min(self.pace.back_off_max);
        let share = u32::try_from(self.jitter.next_u64() >> 32).unwrap_or(0);
        longest / 2 + (longest / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

/// What comes after a round.
enum Next {
    /// Another one.
    Round,
    /// Another one after a pause.
    Wait(Duration),
    /// Another one when something comes, or after so long.
    News(Option<Duration>),
}
