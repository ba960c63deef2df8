//! The same laws for an ordinary user's pod. As root the test becomes one, with a `/dev/fuse` of its own.

#[cfg(test)]
mod common;
#[cfg(test)]
mod sees;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    const NOBODY: u32 = 65534;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "started by another test"]
    async fn laws() {
        crate::sees::everything(env!("CARGO_BIN_EXE_kitchen-zygote")).await;
    }

    #[tokio::test]
    #[ignore = "started by another test"]
    async fn advice() {
        let error = crate::common::Fixture::start(env!("CARGO_BIN_EXE_kitchen-zygote")).await.err().unwrap();
        let missing = error.missing().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(missing.mend, std::env::var("MEND").unwrap(), "{missing:?}");
    }

    /// Runs one of the above as nobody, after a preparation by root in a mount namespace of its own.
    fn as_nobody(test: &str, prepare: &str, mend: &str) {
        let program = std::env::current_exe().unwrap();
        let others_may_pass = |folder: &std::path::Path| {
            std::fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0)
        };
        if !program.ancestors().skip(1).all(others_may_pass) {
            println!("skipped: nobody may not come to {}", program.display());
            return;
        }
        let script = format!(
            "set -e; {prepare}; exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all \
             \"$0\" --exact tests::{test} --ignored --nocapture"
        );
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(program)
            .env("MEND", mend)
            // Nobody's own, for what podman keeps there.
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .current_dir("/")
            .output()
            .unwrap();
        end_podman(home.path());
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    /// Waits until podman has removed its container, and ends the process that it keeps for each user that is not root.
    fn end_podman(runtime: &std::path::Path) {
        let name = runtime.to_str().unwrap();
        let names_it = |entry: std::fs::DirEntry| {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains(name)
        };
        while std::fs::read_dir("/proc").unwrap().flatten().any(names_it) {
            std::thread::yield_now();
        }
        let Ok(pid) = std::fs::read_to_string(runtime.join("libpod/tmp/pause.pid")) else { return };
        let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }

    const OWN_FUSE: &str = "mkdir -p /dev/shm; mount -t tmpfs x /dev/shm; mknod -m 666 /dev/shm/fuse c 10 229; \
                            mount --bind /dev/shm/fuse /dev/fuse; mount -t tmpfs -o mode=1777 x /dev/shm";

    #[test]
    fn an_ordinary_user_has_the_same_laws() {
        if !rustix::process::geteuid().is_root() {
            println!("not root: the other tests run as an ordinary user anyway");
            return;
        }
        as_nobody("laws", OWN_FUSE, "");
    }

    #[test]
    fn what_is_missing_is_named() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can take something away from nobody");
            return;
        }
        if std::env::var("COMPUTEPODS_SANDBOX").is_ok_and(|engine| engine == "podman") {
            println!("skipped: podman refuses first, and has its own words for it");
            return;
        }
        let closed = "mknod -m 600 /dev/shm/closed c 10 229; mount --bind /dev/shm/closed /dev/fuse; rm /dev/shm/closed";
        as_nobody("advice", closed, "sudo chmod 666 /dev/fuse");
        let overlay = "mkdir /dev/shm/o; mount -t tmpfs x /dev/shm/o; mkdir -m 1777 /dev/shm/o/u /dev/shm/o/w; \
                       mount -t overlay o -o lowerdir=/etc,upperdir=/dev/shm/o/u,workdir=/dev/shm/o/w /mnt; chmod 1777 /mnt; \
                       export TMPDIR=/mnt";
        let mend = "put the pod's home on a local file system such as ext4, xfs or btrfs";
        as_nobody("advice", &format!("{OWN_FUSE}; {overlay}"), mend);
    }
}
