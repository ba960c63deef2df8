//! Hosts with a network between them: network namespaces with a cable each into one switch. Needs root and iproute2.
//!
//! Actors: [`Hosts`] owns the namespaces and removes them when it goes; what runs on a host is started through `nsenter`, so that
//! everything else about it – its process id, its mounts – is as without. A cable that is pulled loses what is under way,
//! and tells nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use backplane::server::ServerOptions;

use super::Nats;

/// Tells the namespaces of one test process from each other.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The switch has the last address, and the NATS server.
const SWITCH: usize = 254;

/// Hosts with one network.
pub struct Hosts {
    prefix: String,
    count: usize,
}

fn ip(words: &str) {
    let ended = Command::new("ip").args(words.split_whitespace()).output().expect("`ip`, of iproute2");
    assert!(ended.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ended.stderr));
}

impl Hosts {
    /// So many hosts; none, with a printed reason, where that is not allowed.
    pub fn new(count: usize) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root may make network namespaces");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let hosts = Self { prefix: format!("computepods-{}-{number}", std::process::id()), count };
        let switch = hosts.namespace(SWITCH);
        ip(&format!("netns add {switch}"));
        ip(&format!("-n {switch} link add switch type bridge"));
        ip(&format!("-n {switch} addr add {}/24 dev switch", hosts.address(SWITCH)));
        ["lo", "switch"].iter().for_each(|link| ip(&format!("-n {switch} link set {link} up")));
        for host in 0..count {
            let name = hosts.namespace(host);
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link add cable type veth peer name to{host} netns {switch}"));
            ip(&format!("-n {name} addr add {}/24 dev cable", hosts.address(host)));
            ip(&format!("-n {switch} link set to{host} master switch"));
            ip(&format!("-n {switch} link set to{host} up"));
            ["lo", "cable"].iter().for_each(|link| ip(&format!("-n {name} link set {link} up")));
        }
        Some(hosts)
    }

    /// The name of a host's namespace.
    pub fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// A host's address.
    pub fn address(&self, host: usize) -> String {
        let last = if host == SWITCH { SWITCH } else { host + 1 };
        format!("10.77.0.{last}")
    }

    /// Pulls a host's cable.
    pub fn unplug(&self, host: usize) {
        ip(&format!("-n {} link set to{host} down", self.namespace(SWITCH)));
    }

    /// Puts it back.
    pub fn plug(&self, host: usize) {
        ip(&format!("-n {} link set to{host} up", self.namespace(SWITCH)));
    }

    /// Leaves two hosts without a way to each other.
    pub fn part(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            ip(&format!("-n {} route add unreachable {}/32", self.namespace(from), self.address(to)));
        }
    }

    /// A NATS server at the switch.
    pub fn server(&self, folder: &Path) -> Nats {
        let mut options = ServerOptions::installed(folder).unwrap();
        fs::create_dir_all(folder).unwrap();
        let program = folder.join("nats-server");
        let (namespace, installed) = (self.namespace(SWITCH), options.program.display());
        let text = format!("#!/bin/sh\nexec nsenter --net=/run/netns/{namespace} {installed} \"$@\"\n");
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        options.program = program;
        options.arguments = vec!["-a".to_owned(), self.address(SWITCH)];
        Nats::of(options)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in (0..self.count).chain([SWITCH]) {
            // One that was not made yet is none to remove.
            Command::new("ip").args(["netns", "del", &self.namespace(host)]).output().ok();
        }
    }
}
