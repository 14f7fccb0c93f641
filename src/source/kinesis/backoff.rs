//! How long to wait before the next try: twice as long each time, up to a limit, and a random part of it, so that
//! readers which failed together do not try again together.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// The waits of one reader.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    tries: u32,
    jitter: Pcg64Mcg,
}

impl Backoff {
    /// Nothing has failed; who waits is the seed of the random part.
    pub(super) fn new(who: &str) -> Backoff {
        Backoff { tries: 0, jitter: Pcg64Mcg::new(u128::from(crc32fast::hash(who.as_bytes()))) }
    }

    /// One more try has failed: how long to wait, between half of the present step and all of it.
    pub(super) fn failed(&mut self) -> Duration {
        let step = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let half = step / 2;
        half + half.mul_f64(f64::from(self.jitter.next_u32()) / f64::from(u32::MAX))
    }

    /// A try has succeeded.
    pub(super) fn succeeded(&mut self) {
        self.tries = 0;
    }

    /// How many tries have failed in a row.
    pub(super) fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::new("shardId-000000000000");
        let mut step = FIRST;
        for _ in 0..100 {
            let wait = backoff.failed();
            assert!(step / 2 <= wait && wait <= step, "{wait:?} of {step:?}");
            step = (2 * step).min(LONGEST);
        }
        assert_eq!((step, backoff.tries()), (LONGEST, 100));
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn two_readers_wait_differently() {
        let waits = |who| {
            let mut backoff = Backoff::new(who);
            (0..8).map(|_| backoff.failed()).collect::<Vec<_>>()
        };
        assert_ne!(waits("shardId-000000000000"), waits("shardId-000000000001"));
        assert_eq!(waits("shardId-000000000000"), waits("shardId-000000000000"));
    }
}
