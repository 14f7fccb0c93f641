//! Independent work on many series, done by whoever has cores for it.
//!
//! A step judges each series by itself, so the series may be judged at the same time. This stage has no threads (it is
//! pure); it cuts nothing and orders nothing by who was first: each item has its own place for its result, and what is
//! made of the results is made afterwards, in the order of the series. So the answer cannot depend on the spread (D1).

/// Does work on the parts of a list.
pub trait Spread {
    /// Cuts `items` into contiguous runs, in any number, and gives each of them to `work` once, in any order and at
    /// the same time if it likes.
    fn each_run<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut [T]) + Sync));

    /// [`Spread::each_run`] for items each of which is so many times the work of one interval of a series.
    fn each_heavy_run<T: Send>(&self, items: &mut [T], _weight: usize, work: &(impl Fn(&mut [T]) + Sync)) {
        self.each_run(items, work);
    }
}

/// All work here and now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Spread for Sequential {
    fn each_run<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut [T]) + Sync)) {
        work(items);
    }
}

/// One item, and whether its work is done: a spread that left items out, or gave them twice, changes nothing.
struct Task<'a, T> {
    item: &'a mut T,
    is_done: bool,
}

/// Calls `work` on each item exactly once, whatever the spread does.
pub(super) fn on_each<T: Send>(spread: &impl Spread, items: &mut [T], work: &(impl Fn(&mut T) + Sync)) {
    on_each_heavy(spread, items, 1, work);
}

/// [`on_each`] for items each of which is so many times the work of one interval of a series.
pub(super) fn on_each_heavy<T: Send>(
    spread: &impl Spread,
    items: &mut [T],
    weight: usize,
    work: &(impl Fn(&mut T) + Sync),
) {
    let run = |tasks: &mut [Task<'_, T>]| {
        for task in tasks.iter_mut().filter(|task| !task.is_done) {
            work(task.item);
            task.is_done = true;
        }
    };
    let mut tasks: Vec<Task<'_, T>> = items.iter_mut().map(|item| Task { item, is_done: false }).collect();
    spread.each_heavy_run(&mut tasks, weight, &run);
    run(&mut tasks);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the first half twice and leaves the rest out.
    struct Careless;

    impl Spread for Careless {
        fn each_run<T: Send>(&self, items: &mut [T], work: &(impl Fn(&mut [T]) + Sync)) {
            let half = items.len() / 2;
            work(&mut items[..half]);
            work(&mut items[..half]);
        }
    }

    #[test]
    fn every_item_is_worked_on_once() {
        for count in [0, 1, 2, 7] {
            let (mut one, mut other) = (vec![0u32; count], vec![0u32; count]);
            on_each(&Sequential, &mut one, &|item| *item += 1);
            on_each(&Careless, &mut other, &|item| *item += 1);
            assert_eq!((one, other), (vec![1; count], vec![1; count]));
        }
    }
}
