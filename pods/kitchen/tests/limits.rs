//! Limits: what reaches one is ended or refused, and said to have reached it; what stays below is not touched.

#[cfg(test)]
mod common;

#[cfg(test)]
mod tests {
    use kitchen::{HowEnded, Limit, Limits, what_groups_hold};

    use crate::common::{Fixture, sh};

    const MIB: u64 = 1 << 20;

    async fn fixture() -> Fixture {
        Fixture::start(env!("CARGO_BIN_EXE_kitchen-zygote")).await.unwrap()
    }

    async fn ends(fixture: &Fixture, limits: Limits, script: &str) -> (HowEnded, String) {
        let mut order = sh(script);
        order.limits = limits;
        let (ended, output) = fixture.run(order).await;
        (ended.how, output)
    }

    /// Keeps so many MiB in memory.
    fn hog(mib: u64) -> String {
        format!("head -c {mib}M /dev/zero | tail -n 1 | wc -c")
    }

    #[tokio::test]
    async fn memory_of_the_whole_step() {
        let fixture = fixture().await;
        let limits = Limits { memory: Some(64 * MIB), ..Limits::default() };
        let (how, output) = ends(&fixture, limits, &format!("echo before; {}", hog(16))).await;
        assert_eq!((how, output.as_str()), (HowEnded::Exit(0), "before\n16777216\n"));
        let (how, output) = ends(&fixture, limits, &format!("echo before; {}", hog(200))).await;
        assert!(output.starts_with("before\n") && !output.contains("209715200"), "{output}");
        if !what_groups_hold().memory {
            println!("in part: without control groups nobody can say why it failed");
            return;
        }
        let over = HowEnded::OverLimit(Limit::Memory(64 * MIB));
        assert_eq!(how, over);
        // Several processes together; what is in /tmp; and a step that makes light of it.
        let held = "head -c 30M /dev/zero | tail -n 1 | (sleep 3; wc -c)";
        let together = format!("({held}) & ({held}) & ({held}) & ({held}) & wait");
        assert_eq!(ends(&fixture, limits, &together).await.0, over);
        let filled = "head -c 100M /dev/zero > /tmp/x";
        assert!(matches!(ends(&fixture, limits, filled).await.0, HowEnded::OverLimit(_) | HowEnded::Exit(1)));
        assert_eq!(ends(&fixture, limits, &format!("({}) || true", hog(200))).await.0, over);
        // The next step has none of it.
        assert_eq!(ends(&fixture, Limits::default(), &hog(100)).await.0, HowEnded::Exit(0));
    }

    #[tokio::test]
    async fn processes_at_once() {
        let fixture = fixture().await;
        let limits = Limits { processes: Some(20), ..Limits::default() };
        let forks =
            |count: u32| format!("i=0; while [ $i -lt {count} ]; do sleep 60 & i=$((i+1)); done; echo all");
        assert_eq!(ends(&fixture, limits, &forks(10)).await, (HowEnded::Exit(0), "all\n".to_owned()));
        let (how, output) = ends(&fixture, limits, &forks(200)).await;
        assert!(!output.contains("all"), "{output}");
        if what_groups_hold().processes {
            assert_eq!(how, HowEnded::OverLimit(Limit::Processes(20)));
        }
    }

    #[tokio::test]
    async fn what_it_writes() {
        let fixture = fixture().await;
        let limits = Limits { disk: Some(10 * MIB), ..Limits::default() };
        let over = HowEnded::OverLimit(Limit::Disk(10 * MIB));
        assert_eq!(ends(&fixture, limits, "head -c 9M /dev/zero > file").await.0, HowEnded::Exit(0));
        // One file, at once and sparse; many; many, and then for ever.
        assert_eq!(ends(&fixture, limits, "exec head -c 11M /dev/zero > file").await.0, over);
        assert_eq!(ends(&fixture, limits, "exec truncate -s 1T file").await.0, over);
        let many = "for i in 1 2 3 4; do head -c 3M /dev/zero > $i; done";
        assert_eq!(ends(&fixture, limits, many).await.0, over);
        assert_eq!(ends(&fixture, limits, &format!("{many}; sleep 72514")).await.0, over);
        let sparse = "for i in 1 2 3 4; do truncate -s 9M $i; done";
        assert_eq!(ends(&fixture, limits, sparse).await.0, over);
        // The folders in memory are bounded too.
        let (how, output) =
            ends(&fixture, limits, "head -c 6M /dev/zero > /tmp/a; head -c 6M /dev/zero > /var/tmp/b").await;
        assert!(matches!(how, HowEnded::Exit(1)) && output.contains("No space left"), "{how:?} {output}");
    }

    #[tokio::test]
    async fn a_sparse_terabyte_is_refused_without_being_asked() {
        let fixture = fixture().await;
        let how = ends(&fixture, Limits::default(), "exec truncate -s 1T file").await.0;
        assert_eq!(how, HowEnded::OverLimit(Limit::Disk(64 << 30)));
    }

    #[tokio::test]
    async fn open_files_and_what_is_the_same_for_all() {
        let fixture = fixture().await;
        let limits = Limits { open_files: Some(20), ..Limits::default() };
        assert_eq!(ends(&fixture, limits, "ulimit -n; ulimit -Hn").await.1, "20\n20\n");
        // Whatever the pod was started with.
        assert_eq!(ends(&fixture, Limits::default(), "ulimit -n; ulimit -c").await.1, "1024\n0\n");
    }

    #[tokio::test]
    async fn processors() {
        if !what_groups_hold().cpus {
            println!("skipped: there are no control groups for processors");
            return;
        }
        let fixture = fixture().await;
        let work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let mut order = sh(work);
        order.limits = Limits { milli_cpus: Some(200), ..Limits::default() };
        let (ended, _) = fixture.run(order).await;
        let used = ended.usage.user + ended.usage.system;
        // A fifth of one; the first tenth of a second is on the house.
        assert!(ended.usage.wall >= used * 2, "{:?}", ended.usage);
    }

    #[tokio::test]
    async fn groups_are_used_again_and_go_with_the_kitchen() {
        if !what_groups_hold().processes {
            println!("skipped: there are no control groups for processes");
            return;
        }
        let fixture = fixture().await;
        let limits = Limits { processes: Some(50), memory: Some(64 * MIB), ..Limits::default() };
        let mut groups = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let (how, output) =
                ends(&fixture, limits, "grep -o '/computepods-.*' /proc/self/cgroup | head -n 1").await;
            assert_eq!(how, HowEnded::Exit(0));
            groups.insert(output.trim().trim_start_matches('/').to_owned());
            fixture.kitchen.settled().await;
        }
        assert_eq!(groups.len(), 1, "{groups:?}");
        let group = groups.first().unwrap().split('/').next().unwrap();
        let is_there = || {
            let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
            hierarchies
                .map(|entry| entry.path().join(group))
                .chain([format!("/sys/fs/cgroup/{group}").into()])
                .any(|path| path.exists())
        };
        assert!(is_there(), "{group}");
        drop(fixture);
        while is_there() {
            tokio::task::yield_now().await;
        }
    }

    /// Modules of a kernel that runs as a program, and this program once more as what it runs.
    const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/mnt
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o size=300m,mode=1777 none /mnt
mount -t cgroup2 none /sys/fs/cgroup
python3 -c 'import ctypes, os, sys
for module in sys.argv[1:]: ctypes.CDLL(None).syscall(313, os.open(module, 0), b"", 0)' /usr/lib/uml/modules/$(uname -r)/kernel/fs/fuse/fuse.ko /usr/lib/uml/modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko
echo "unified: $(cat /proc/self/cgroup) $(cat /sys/fs/cgroup/cgroup.controllers)"
PROGRAM --test-threads 1 --nocapture --skip unified
echo o > /proc/sysrq-trigger
sleep 60
"#;

    /// All of the above where control groups are of the second version, with controllers. A kernel that has given them to the first has none for the
    /// second, so another one is started, as a program of this user's (user-mode Linux).
    #[test]
    fn the_same_in_the_unified_hierarchy() {
        const KERNEL: &str = "/usr/bin/linux.uml";
        if !std::path::Path::new(KERNEL).exists() {
            assert!(std::env::var_os("CI").is_none(), "there is no {KERNEL}");
            println!("skipped: there is no {KERNEL}: sudo apt-get install user-mode-linux");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let init = place.path().join("init");
        std::fs::write(&init, INIT.replace("PROGRAM", program.to_str().unwrap())).unwrap();
        std::fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let at = place.path().display();
        let booted = std::process::Command::new(KERNEL)
            .args([
                "mem=1G",
                "root=/dev/root",
                "rootfstype=hostfs",
                "rootflags=/",
                "ro",
                "quiet",
                "loglevel=1",
            ])
            .args([
                "con=null",
                "con0=null,fd:1",
                "umid=kitchen",
                &format!("uml_dir={at}"),
                &format!("init={at}/init"),
            ])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&booted.stdout);
        let first =
            said.lines().find_map(|line| line.split_once("unified: ")).unwrap_or_else(|| panic!("{said}")).1;
        let controllers: Vec<_> = first.split_whitespace().collect();
        assert!(["0::/", "cpu", "memory", "pids"].iter().all(|has| controllers.contains(has)), "{first}");
        assert!(said.contains("test result: ok. 7 passed"), "{said}");
        assert!(!said.contains("skipped:") && !said.contains("in part:"), "{said}");
    }
}
