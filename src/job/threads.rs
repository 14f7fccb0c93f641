//! The detector's independent work on all cores of this machine. A series takes some tens of microseconds, a thread
//! about as long to begin: a small fleet stays on the thread that is there.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use crate::detect::Spread;

/// Fewer items than this are not worth a second thread.
const ITEMS_LEAST: usize = 64;
/// Runs per thread: series differ in what they cost, and who is done early takes another run.
const RUNS: usize = 8;

/// Some threads, which live as long as one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// So many.
    pub fn new(count: NonZeroUsize) -> Threads {
        Threads(count)
    }

    /// One per core that this process may use.
    pub fn all() -> Threads {
        Threads(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.get()
    }

    /// So many for each of some pieces of work that are done at the same time.
    pub fn shared_by(&self, pieces: usize) -> Threads {
        Threads(NonZeroUsize::new(self.count() / pieces.max(1)).unwrap_or(NonZeroUsize::MIN))
    }

    /// Does work on each of a few items that are worth a thread each.
    pub fn each<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
        let threads = self.count().min(items.len());
        self.spread(items, 1, threads, &|run| run.iter_mut().for_each(work));
    }

    fn spread<T: Send>(&self, items: &mut [T], size: usize, threads: usize, work: &(impl Fn(&mut [T]) + Sync)) {
        if threads <= 1 {
            return work(items);
        }
        let runs = Mutex::new(items.chunks_mut(size));
        // the next run leaves the lock before it is worked on
        let next = || runs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let all = || {
            while let Some(run) = next() {
                work(run);
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(all)));
            all();
        });
    }
}

impl Spread for Threads {
    fn each_run<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut [T]) + Sync)) {
        self.each_heavy_run(items, 1, work);
    }

    fn each_heavy_run<T: Send>(&self, items: &mut [T], weight: usize, work: &(impl Fn(&mut [T]) + Sync)) {
        let worth = items.len().saturating_mul(weight) / ITEMS_LEAST;
        let threads = self.count().min(worth).min(items.len());
        self.spread(items, items.len().div_ceil(RUNS * threads.max(1)), threads, work);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_item_is_in_one_run_and_many_items_have_more_than_one_thread() {
        for (threads, count, wanted) in [(1, 1000, 1), (2, 10, 1), (2, 1000, 2), (3, 1001, 3)] {
            let mut items = vec![0u32; count];
            let seen = Mutex::new(HashSet::new());
            Threads::new(NonZeroUsize::new(threads).unwrap()).each_run(&mut items, &|run| {
                seen.lock().unwrap().insert(thread::current().id());
                // no thread takes all before the others have begun
                thread::sleep(Duration::from_millis(20));
                run.iter_mut().for_each(|item| *item += 1);
            });
            assert!(items.iter().all(|item| *item == 1));
            assert_eq!(seen.lock().unwrap().len(), wanted, "{threads} threads, {count} items");
        }
    }

    #[test]
    fn a_few_items_of_more_work_are_worth_another_thread() {
        for (count, weight, wanted) in [(10, 1, 1), (10, 20, 2), (1, 1000, 1), (0, 9, 0)] {
            let mut items = vec![0u32; count];
            let seen = Mutex::new(HashSet::new());
            Threads::new(NonZeroUsize::new(2).unwrap()).each_heavy_run(&mut items, weight, &|run| {
                seen.lock().unwrap().extend((!run.is_empty()).then(|| thread::current().id()));
                thread::sleep(Duration::from_millis(20));
                run.iter_mut().for_each(|item| *item += 1);
            });
            assert!(items.iter().all(|item| *item == 1));
            assert_eq!(seen.lock().unwrap().len(), wanted, "{count} items of {weight}");
        }
    }

    #[test]
    fn a_few_large_items_have_a_thread_each() {
        for (threads, count, wanted) in [(1, 3, 1), (2, 1, 1), (2, 3, 2), (4, 0, 0)] {
            let mut items = vec![0u32; count];
            let seen = Mutex::new(HashSet::new());
            Threads::new(NonZeroUsize::new(threads).unwrap()).each(&mut items, &|item| {
                seen.lock().unwrap().insert(thread::current().id());
                thread::sleep(Duration::from_millis(20));
                *item += 1;
            });
            assert!(items.iter().all(|item| *item == 1));
            assert_eq!(seen.lock().unwrap().len(), wanted, "{threads} threads, {count} items");
        }
        let four = Threads::new(NonZeroUsize::new(4).unwrap());
        assert_eq!([0, 1, 2, 3, 9].map(|pieces| four.shared_by(pieces).count()), [4, 4, 2, 1, 1]);
    }
}
