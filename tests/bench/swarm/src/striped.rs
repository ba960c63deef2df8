//! Three pods that serve the same blob over lines of their own, shaped by `tc tbf`, and one that fetches from all.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use larder::ObjectKind;
use protocol::ObjectId;
use swarm::{FetchOrder, Multiaddr};

use crate::{noise, ours};

const SIZE: usize = 128 << 20;
/// Megabits a second of each line.
const RATES: [u64; 3] = [50, 100, 200];

/// Namespaces that go when this does.
struct Lines(Vec<String>);

impl Drop for Lines {
    fn drop(&mut self) {
        for name in &self.0 {
            drop(Command::new("ip").args(["netns", "del", name]).status());
        }
    }
}

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split_whitespace()).status().expect("ip");
    assert!(status.success(), "ip {words}");
}

fn own(namespace: &str, words: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace])
        .arg(std::env::current_exe().expect("this program"))
        .args(words);
    command
}

pub fn run(folder: &Path) {
    let id = std::process::id();
    let name = |what: &str| format!("cps{id}{what}");
    let home = name("h");
    let mut lines = Lines(vec![home.clone()]);
    ip(&format!("netns add {home}"));
    ip(&format!("-n {home} link set lo up"));
    let mut servers: Vec<Child> = Vec::new();
    let mut peers = Vec::new();
    for (number, rate) in RATES.iter().enumerate() {
        let far = name(&number.to_string());
        lines.0.push(far.clone());
        ip(&format!("netns add {far}"));
        ip(&format!("-n {home} link add v{number} type veth peer name e0 netns {far}"));
        for (at, device, host) in [(&home, format!("v{number}"), 1), (&far, "e0".to_owned(), 2)] {
            ip(&format!("-n {at} addr add 10.7.{number}.{host}/24 dev {device}"));
            ip(&format!("-n {at} link set {device} up"));
        }
        ip(&format!("-n {far} link set lo up"));
        let shape = format!("qdisc add dev e0 root tbf rate {rate}mbit burst 64kb latency 100ms");
        let tc = Command::new("tc").args(["-n", &far]).args(shape.split_whitespace()).status().expect("tc");
        assert!(tc.success(), "tc {shape}");
        let address = Ipv4Addr::new(10, 7, number as u8, 2).to_string();
        let mut server = own(&far, &["serve", &folder.display().to_string(), &address])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("its output")).read_line(&mut line).expect("its address");
        peers.push(line.trim().to_owned());
        servers.push(server);
    }
    for _ in 0..3 {
        let mut words = vec!["get".to_owned(), folder.display().to_string()];
        words.extend(peers.iter().cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(own(&home, &words).status().expect("a client").success());
    }
    for mut server in servers {
        // Its standard input closes, and it ends.
        drop(server.stdin.take());
        server.wait().expect("it ends");
    }
}

pub async fn serve(args: &[String]) {
    let listen: Multiaddr = format!("/ip4/{}/tcp/0", args[1]).parse().expect("an address");
    let end = ours::end(Path::new(&args[0]), Some(listen));
    end.larder.put(ObjectKind::Blob, &noise(9, SIZE)).expect("put");
    let address = end.swarm.addresses().await.expect("an address");
    println!("{}@{}", end.swarm.pod(), address[0]);
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.expect("it ends");
}

pub async fn get(args: &[String]) {
    let end = ours::end(Path::new(&args[0]), None);
    let mut from = Vec::new();
    for peer in &args[1..] {
        let (pod, address) = peer.split_once('@').expect("a pod and its address");
        let pod = pod.parse().expect("a pod");
        end.swarm.learn(pod, vec![address.parse().expect("an address")]).await.expect("learnt");
        from.push(pod);
    }
    while end.swarm.pods().await.expect("pods").iter().filter(|pod| pod.connected).count() < from.len() {
        tokio::task::yield_now().await;
    }
    let id = ObjectId::of(ObjectKind::Blob, &noise(9, SIZE));
    let begun = Instant::now();
    let fetched = end.swarm.fetch(FetchOrder::new([id], &from)).await.expect("fetched");
    let wall = begun.elapsed().as_secs_f64();
    assert_eq!(fetched.missing, []);
    let rate = SIZE as f64 * 8.0 / wall / 1e6;
    let sum: u64 = RATES.iter().sum();
    let shares: Vec<String> =
        end.swarm.pods().await.expect("pods").iter().map(|pod| format!("{}", pod.received >> 20)).collect();
    println!(
        "striped | {wall:.2} s | {rate:.0} of {sum} Mbit/s | {:.3} | MiB {}",
        rate / sum as f64,
        shares.join(" ")
    );
}
