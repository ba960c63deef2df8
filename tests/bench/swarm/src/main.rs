//! The swarm against plain TCP, and iroh-blobs: `cargo run --release --features iroh -- [blob] [objects] [striped]`.
//!
//! Both ends are in this process, whose CPU is counted; peers and we take turns. Sources are in their stores
//! beforehand, each run's destination is a new one. Ours is flushed within the time. `striped` needs root: it
//! makes network namespaces, gives each of three pods a line of its own, and removes them again.

#[cfg(feature = "iroh")]
mod iroh_peer;
mod ours;
mod plain;
mod striped;

use std::time::Instant;

/// What one run cost.
#[derive(Clone, Copy)]
pub struct Cost {
    wall: f64,
    cpu: f64,
}

pub fn cpu() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a valid place for one rusage, and zeroes are one.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

pub async fn measure(work: impl Future<Output = ()>) -> Cost {
    let (begun, before) = (Instant::now(), cpu());
    work.await;
    Cost { wall: begun.elapsed().as_secs_f64(), cpu: cpu() - before }
}

fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    swarm::testing::noise(seed, size)
}

/// Says a row: medians, and medians of the ratios run by run.
fn row(name: &str, bytes: usize, runs: &[Vec<(&'static str, Cost)>]) {
    let gb = bytes as f64 / 1e9;
    for (place, (who, _)) in runs[0].iter().enumerate() {
        let wall = median(runs.iter().map(|run| run[place].1.wall));
        let cpu = median(runs.iter().map(|run| run[place].1.cpu));
        println!("{name} | {who} | {wall:.3} s | {:.0} MB/s | {:.2} CPU s/GB", gb * 1e3 / wall, cpu / gb);
    }
    let ours = runs[0].len() - 1;
    for place in 0..ours {
        let rate = median(runs.iter().map(|run| run[place].1.wall / run[ours].1.wall));
        let cpu = median(runs.iter().map(|run| run[ours].1.cpu / run[place].1.cpu));
        println!("{name} | ours over {} | rate {rate:.3} | CPU {cpu:.3}", runs[0][place].0);
    }
    let reference = |run: &Vec<(&'static str, Cost)>| run[0].1.wall;
    let drift = reference(&runs[runs.len() - 1]) / reference(&runs[0]) - 1.0;
    println!("{name} | reference drifted {:.0} %", drift * 100.0);
}

#[tokio::main]
async fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|word| word == "serve") {
        return striped::serve(&args[1..]).await;
    }
    if args.first().is_some_and(|word| word == "get") {
        return striped::get(&args[1..]).await;
    }
    if args.is_empty() {
        args = ["blob", "objects", "striped"].map(str::to_owned).to_vec();
    }
    let runs: usize = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().expect("a folder");
    if args.iter().any(|word| word == "blob") {
        let bytes = noise(1, 512 << 20);
        #[cfg(feature = "iroh")]
        let theirs = iroh_peer::Source::blob(folder.path(), &bytes).await;
        let own = ours::Source::new(folder.path(), &[&bytes]).await;
        let file = plain::source(folder.path(), &bytes);
        let mut all = Vec::new();
        for run in 0..=runs {
            let mut costs = vec![("plain TCP, memory", plain::stream(bytes.len()).await)];
            costs.push(("plain TCP, file to file", plain::copy(folder.path(), &file).await));
            #[cfg(feature = "iroh")]
            costs.push(("iroh-blobs", theirs.fetch().await));
            costs.push(("ours", own.fetch().await));
            if run == 0 {
                println!(
                    "blob | ours, the chunk list made on the way | {:.3} s",
                    costs[costs.len() - 1].1.wall
                );
            } else {
                all.push(costs);
            }
        }
        row("blob", bytes.len(), &all);
    }
    if args.iter().any(|word| word == "objects") {
        let sizes = (0..20_000usize).map(|number| 4096 + (number * 7919) % 61_441);
        let objects: Vec<Vec<u8>> = sizes.enumerate().map(|(seed, size)| noise(seed as u64, size)).collect();
        let total = objects.iter().map(Vec::len).sum();
        let parts: Vec<&[u8]> = objects.iter().map(|object| &object[..]).collect();
        #[cfg(feature = "iroh")]
        let theirs = iroh_peer::Source::sequence(folder.path(), &objects).await;
        let file = plain::source(folder.path(), &objects.concat());
        let own = ours::Source::new(folder.path(), &parts).await;
        let mut all = Vec::new();
        for _ in 0..runs.div_ceil(2) {
            let mut costs = vec![("plain TCP, one file", plain::copy(folder.path(), &file).await)];
            #[cfg(feature = "iroh")]
            costs.push(("iroh-blobs", theirs.fetch().await));
            costs.push(("ours", own.fetch().await));
            all.push(costs);
        }
        row("objects", total, &all);
    }
    if args.iter().any(|word| word == "striped") {
        striped::run(folder.path());
    }
}
