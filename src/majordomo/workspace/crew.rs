//! A few threads over a list: for work that waits for the disk.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Most threads of a crew; more gain nothing on one disk.
pub const MOST_THREADS: usize = 4;

/// Fewer items than this are not worth a thread.
pub const ITEMS_PER_THREAD: usize = 16;

/// Does `work` for each item, with a state of its own for each thread. Results come in no order. The first failure stops
/// the others at their next item; what was done until then is returned beside it.
pub fn in_parallel<T: Sync, S, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    state: impl Fn(usize) -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
) -> (Vec<R>, Option<E>) {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let run = |thread: usize| {
        let mut state = state(thread);
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            match work(&mut state, item) {
                Ok(result) => done.push(result),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return (done, Some(error));
                }
            }
        }
        (done, None)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        let (mut done, mut failure) = run(0);
        for helper in helpers {
            match helper.join() {
                Ok((more, error)) => {
                    done.extend(more);
                    failure = failure.or(error);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        (done, failure)
    })
}

/// How many threads are worth it for so many items.
pub fn threads_for(items: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, |n| n.get()).clamp(2, MOST_THREADS);
    items.div_ceil(ITEMS_PER_THREAD).clamp(1, cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once() {
        let items: Vec<u32> = (0..1000).collect();
        let (mut done, failure) = in_parallel(&items, 4, |_| (), |(), item| Ok::<_, ()>(*item));
        done.sort_unstable();
        assert_eq!((done, failure), (items, None));
    }

    #[test]
    fn a_failure_stops_the_crew() {
        let items: Vec<u32> = (0..1000).collect();
        let (done, failure) =
            in_parallel(&items, 1, |_| (), |(), item| if *item == 10 { Err("ten") } else { Ok(*item) });
        assert_eq!((done.len(), failure), (10, Some("ten")));
    }
}
