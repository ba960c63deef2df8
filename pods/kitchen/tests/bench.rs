//! What a step costs beyond the program that it runs: `STEPS=600 PARALLEL=2 cargo test --test bench -- --ignored --nocapture`.
//!
//! The same program is run plainly and in a kitchen. The view is a small one that the kernel may cache, so that its cost is
//! out of the picture after the first step.

#[cfg(test)]
mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Fixture;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

#[cfg(test)]
fn cpu() -> Duration {
    let of = |who| {
        let usage = getrusage(who).unwrap();
        Duration::from_micros((usage.user_time() + usage.system_time()).num_microseconds() as u64)
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

#[cfg(test)]
fn report(what: &str, steps: usize, wall: Duration, cpu: Duration) {
    let each = |time: Duration| time.as_secs_f64() * 1e3 / steps as f64;
    println!("{what}: {:.3} ms wall, {:.3} ms CPU a step", each(wall), each(cpu));
}

#[cfg(test)]
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
#[ignore = "a measurement"]
fn one_true_step() {
    let (steps, parallel) = (number("STEPS", 600), number("PARALLEL", 2));
    let zygote = env!("CARGO_BIN_EXE_kitchen-zygote");

    let (begun, before) = (Instant::now(), cpu());
    std::thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| {
                for _ in 0..steps / parallel {
                    Command::new("true").stdin(Stdio::null()).output().unwrap();
                }
            });
        }
    });
    report("plain", steps, begun.elapsed(), cpu() - before);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::start(zygote)).unwrap();
    runtime.block_on(fixture.run(common::command(&["true"])));
    let fixture = std::sync::Arc::new(fixture);
    let (begun, before) = (Instant::now(), cpu());
    runtime.block_on(async {
        let mut lanes = Vec::new();
        for _ in 0..parallel {
            let fixture = fixture.clone();
            lanes.push(tokio::spawn(async move {
                for _ in 0..steps / parallel {
                    fixture.run(common::command(&["true"])).await;
                }
            }));
        }
        for lane in lanes {
            lane.await.unwrap();
        }
        fixture.kitchen.settled().await;
    });
    let wall = begun.elapsed();
    drop(fixture);
    // The zygote's time, and with it that of all steps, counts when it is reaped.
    std::thread::sleep(Duration::from_millis(300));
    report("kitchen", steps, wall, cpu() - before);
}
