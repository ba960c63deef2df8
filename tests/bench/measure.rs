//! Measures one command as a whole: wall, CPU of its whole process tree, peak memory of its largest process.
//!
//! CPU is that of all descendants that were waited for, by whomever: this process is a sub-reaper, so what a daemon leaves
//! behind is waited for here. `getrusage(RUSAGE_CHILDREN)` before and after gives the difference.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Wall seconds.
    pub wall: f64,
    /// CPU seconds, user and system, of the whole tree.
    pub cpu: f64,
}

/// CPU seconds of processes that have ended and were waited for.
pub fn children_cpu() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a valid place for one rusage, and zeroes are one.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Makes this process the one that inherits orphans.
pub fn reap_orphans() {
    // SAFETY: a prctl that takes a number.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Runs a command to its end; ends the benchmark if it fails, with what it said.
pub fn run(command: &mut Command) -> Cost {
    let before = children_cpu();
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    let wall = begun.elapsed().as_secs_f64();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Orphans end within moments of their parents.
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        // SAFETY: waits for any child without a status.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
            -1 => break,
            0 if Instant::now() > deadline => break,
            0 => std::thread::sleep(Duration::from_millis(2)),
            _ => {}
        }
    }
    Cost { wall, cpu: children_cpu() - before }
}

/// The middle of some numbers.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => numbers[n / 2],
        n => (numbers[n / 2 - 1] + numbers[n / 2]) / 2.0,
    }
}
