//! Tasks over threads; results in the order of the tasks.

use std::sync::Mutex;

pub(crate) fn each<T: Send, R: Send>(tasks: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let done: Mutex<Vec<Option<R>>> = Mutex::new(tasks.iter().map(|_| None).collect());
    let queue = Mutex::new(tasks.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((at, task)) = next else { break };
                    let result = work(task);
                    done.lock().unwrap()[at] = Some(result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_iter().flatten().collect()
}
