//! Trying again. A request that failed for a reason that passes (a lost connection, a busy server, a clock that was
//! set) is made again after a pause that doubles and is spread by chance, so that many jobs do not come back at the
//! same moment. An outage is told once when it begins, once a minute while it lasts, and once when it is over.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;
use tokio::time::{Instant, sleep};

use super::StoreError;
use super::fault::{Fault, Kind, Verb};

/// The first pause: longer than a server takes to breathe, shorter than anyone waits for.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: how late a job may notice that the store is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How often an outage that lasts is told.
const REMINDER: Duration = Duration::from_secs(60);
/// How long a command with someone in front of it waits.
const SHORT: Duration = Duration::from_secs(10);

/// How long and how often a failed request is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    limit: Option<Duration>,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Patience {
    /// For a job that runs on its own: it waits until the store is back.
    pub fn endless() -> Patience {
        Patience { limit: None, ..Patience::short() }
    }

    /// For a command with someone in front of it.
    pub fn short() -> Patience {
        Patience { limit: Some(SHORT), first_pause: FIRST_PAUSE, longest_pause: LONGEST_PAUSE }
    }

    /// Gives up after so long.
    #[must_use]
    pub fn limited(self, limit: Duration) -> Patience {
        Patience { limit: Some(limit), ..self }
    }

    /// With other pauses, for tests.
    #[must_use]
    pub fn paced(self, first: Duration, longest: Duration) -> Patience {
        Patience { first_pause: first, longest_pause: longest, ..self }
    }
}

/// One operation, tried until it succeeds or there is no point.
pub(super) struct Trial<'a> {
    patience: Patience,
    verb: Verb,
    url: &'a str,
    since: Instant,
    reminded: Instant,
    failures: u32,
    jitter: Pcg64Mcg,
    /// Whether an attempt may have been served although its answer was not.
    pub(super) is_ambiguous: bool,
}

impl<'a> Trial<'a> {
    pub(super) fn new(patience: Patience, verb: Verb, url: &'a str) -> Trial<'a> {
        // chance enough to part two jobs, and the same for each run of one process
        let seed = u64::from(std::process::id()) << 32 | u64::from(crc32fast::hash(url.as_bytes()));
        let jitter = Pcg64Mcg::new(u128::from(seed) << 1 | 1);
        let now = Instant::now();
        Trial { patience, verb, url, since: now, reminded: now, failures: 0, jitter, is_ambiguous: false }
    }

    /// Waits after an attempt that failed for a reason that passes.
    ///
    /// # Errors
    /// With the failure itself, where it stays or patience is at its end.
    pub(super) async fn failed(&mut self, fault: Fault, error: object_store::Error) -> Result<(), StoreError> {
        match fault.kind {
            Kind::Transient { ambiguous } => self.is_ambiguous |= ambiguous,
            Kind::Expired | Kind::UploadGone => {}
            _ => return Err(self.refused(fault, error)),
        }
        if self.again(&fault).await {
            return Ok(());
        }
        let (verb, url, seconds) = (self.verb.name(), self.url.to_owned(), self.since.elapsed().as_secs());
        let hint = fault.hint(self.verb, self.url);
        Err(StoreError::GaveUp { verb, url, said: fault.said, seconds, hint })
    }

    /// Waits before the next attempt; false where patience is at its end.
    pub(super) async fn again(&mut self, fault: &Fault) -> bool {
        let (verb, url, said) = (self.verb.name(), self.url, &fault.said);
        if self.failures == 0 {
            self.since = Instant::now();
            self.reminded = self.since;
            tracing::warn!("cannot {verb} {url}: {said}; trying again");
        }
        self.failures += 1;
        let pause = self.pause();
        let tried = self.since.elapsed();
        if self.patience.limit.is_some_and(|limit| tried + pause > limit) {
            return false;
        }
        if self.reminded.elapsed() >= REMINDER {
            self.reminded = Instant::now();
            tracing::warn!("still cannot {verb} {url} after {} s: {said}; trying again", tried.as_secs());
        }
        sleep(pause).await;
        true
    }

    /// An attempt succeeded.
    pub(super) fn done(&self) {
        if self.failures > 0 {
            let (verb, url) = (self.verb.name(), self.url);
            let (seconds, failures) = (self.since.elapsed().as_secs_f64(), self.failures);
            tracing::info!("can {verb} {url} again, after {seconds:.1} s and {failures} failures");
        }
    }

    /// A failure that stays.
    pub(super) fn refused(&self, fault: Fault, source: object_store::Error) -> StoreError {
        let verb = self.verb.name();
        match fault.kind {
            Kind::Refused => {
                let (url, hint) = (self.url.to_owned(), fault.hint(self.verb, self.url));
                StoreError::Refused { verb, url, said: fault.said, hint }
            }
            _ => StoreError::Operation { verb, name: self.url.to_owned(), source },
        }
    }

    /// The next pause: from a half of what doubling gives to all of it.
    fn pause(&mut self) -> Duration {
        let doubled = self.patience.first_pause.saturating_mul(1 << (self.failures - 1).min(20));
        let longest = doubled.min(self.patience.longest_pause);
        let share = u32::try_from(self.jitter.next_u64() >> 32).unwrap_or(0);
        longest / 2 + (longest / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let pauses = |url: &str| -> Vec<Duration> {
            let mut trial = Trial::new(Patience::endless(), Verb::Read, url);
            let mut pause = || {
                trial.failures += 1;
                trial.pause()
            };
            (0..12).map(|_| pause()).collect()
        };
        let (one, two) = (pauses("s3://b/one"), pauses("s3://b/two"));
        for (number, pause) in (0..).zip(&one) {
            let most = (FIRST_PAUSE * (1 << number)).min(LONGEST_PAUSE);
            assert!(*pause >= most / 2 && *pause <= most, "{number}: {pause:?}");
        }
        assert_ne!(one, two);
    }
}
