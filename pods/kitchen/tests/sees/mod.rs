//! What holds for steps whoever runs the pod: the same laws for root and for an ordinary user.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use kitchen::{HowEnded, Order};

use crate::common::{Fixture, command, sh};

/// All laws, one after the other in one kitchen; whether or not roots are made ahead.
pub async fn everything(zygote: &str) {
    for is_ahead in [false, true] {
        all_laws(Fixture { is_ahead, ..Fixture::start(zygote).await.unwrap() }).await;
    }
}

async fn all_laws(fixture: Fixture) {
    identity(&fixture).await;
    rights(&fixture).await;
    devices_and_folders(&fixture).await;
    network(&fixture).await;
    writing(&fixture).await;
    programs(&fixture).await;
    orders(&fixture).await;
    fixture.kitchen.settled().await;
}

async fn identity(fixture: &Fixture) {
    let script = "id -u; id -g; hostname; umask; pwd; echo $$; ls /proc | grep -c '^[0-9]*$'";
    assert_eq!(fixture.output(script).await, "1000\n1000\nkitchen\n0022\n/project\n2\n4");
    let mut order = command(&["env"]);
    order.env.push((b"A".to_vec(), b"x=y z".to_vec()));
    let (_, environment) = fixture.run(order).await;
    assert_eq!(environment, "PATH=/usr/local/bin:/usr/bin:/bin\nA=x=y z\n");
    let status = fixture.output("cat /proc/self/status").await;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    // Whoever spawned the tests may have ignored the two signals that glibc keeps for itself: it cannot be undone, and no program can tell.
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & !0x1_8000_0000, 0);
    for wanted in ["SigBlk:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(wanted), "{wanted}: {status}");
    }
    for none in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{none}:\t0000000000000000")), "{status}");
    }
    // Its streams, and the folder that `ls` lists.
    assert_eq!(fixture.output("ls /proc/self/fd").await, "0\n1\n2\n3");
    assert_eq!(fixture.output("ulimit -c").await, "0");
}

async fn rights(fixture: &Fixture) {
    for forbidden in [
        "unshare --user true",
        "unshare --mount true",
        "mount -t tmpfs x /tmp",
        "umount /proc",
        "hostname other",
        "touch /x",
        "touch /usr/x",
        "touch /dev/x",
        "chroot / true",
        "mknod /tmp/x c 1 3",
        "ls /proc/1/fd/",
        "cat /proc/1/environ",
        "readlink /proc/1/root",
        "kill -9 1 && ! sleep 0.1",
    ] {
        let (ended, output) = fixture.sh(forbidden).await;
        assert!(
            matches!(ended.how, HowEnded::Exit(code) if code != 0),
            "{forbidden}: {:?} {output}",
            ended.how
        );
    }
    // Nobody writes in /proc, not even to what the kernel lets everybody open. (A file that is hidden is `/dev/null`.)
    let writable = "find /proc -type f ! -path /proc/keys -writable 2>/dev/null; true";
    assert_eq!(fixture.output(writable).await, "");
    // What podman hides there is hidden.
    for name in ["acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"] {
        let script = format!("cat /proc/{name} 2>/dev/null; test ! -d /proc/{name} || ls -A /proc/{name}");
        assert_eq!(fixture.output(&script).await, "", "{name}");
    }
    let visible = fixture.output("cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '").await;
    let known = ["/", "/dev", "/dev/shm", "/home/build", "/proc", "/project", "/tmp", "/var/tmp"];
    let devices = |place: &str| place.starts_with("/dev/") && !place.ends_with("shm");
    let masks = |place: &str| place.starts_with("/proc/");
    let visible: Vec<_> = visible.split(' ').filter(|place| !devices(place) && !masks(place)).collect();
    assert_eq!(visible, known);
}

async fn devices_and_folders(fixture: &Fixture) {
    let script = "echo x > /dev/null && head -c3 /dev/zero | wc -c && head -c2 /dev/urandom | wc -c \
                  && ! echo x > /dev/full 2> /dev/null && echo in | cat /dev/stdin && readlink /dev/fd";
    assert_eq!(fixture.output(script).await, "3\n2\nin\n/proc/self/fd");
    assert_eq!(fixture.output("cat; readlink /proc/self/fd/0").await, "/dev/null");
    for folder in ["/tmp", "/var/tmp", "/home/build", "/dev/shm"] {
        let script = format!(
            "ls -A {folder}; echo '#!/bin/sh\necho ran' > {folder}/x; chmod +x {folder}/x; {folder}/x; ls {folder}"
        );
        assert_eq!(fixture.output(&script).await, "ran\nx", "{folder}");
    }
    assert_eq!(
        fixture.output("stat -c '%a %u' /tmp /home/build /dev/shm").await,
        "1777 1000\n755 1000\n1777 1000"
    );
}

async fn network(fixture: &Fixture) {
    let interfaces = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";
    let listen = "exec 2>&1; python3 -c 'import socket; s=socket.socket(); s.bind((\"127.0.0.1\", 4567)); s.listen(); \
                  c=socket.create_connection((\"127.0.0.1\", 4567)); a=s.accept()[0]; a.close(); c.close(); print(1)'";
    // A second step finds the port free, whatever the first has left behind.
    for _ in 0..2 {
        assert_eq!(fixture.output(interfaces).await, "lo");
        if fs::exists("/usr/bin/python3").unwrap() {
            assert_eq!(fixture.output(listen).await, "1");
        }
    }
    let mut order = sh(&format!("{interfaces}; cat /etc/hosts 2>/dev/null || true"));
    order.network = true;
    let (_, output) = fixture.run(order).await;
    let host: String = fs::read_to_string("/proc/net/dev")
        .unwrap()
        .lines()
        .skip(2)
        .fold(String::new(), |all, line| all + line.split(':').next().unwrap().trim() + "\n");
    assert_eq!(output, host + &fs::read_to_string("/etc/hosts").unwrap_or_default());
}

async fn writing(fixture: &Fixture) {
    let project = fixture.project.path();
    fs::write(project.join("source"), "text").unwrap();
    fs::write(project.join("gone"), "text").unwrap();
    fs::create_dir_all(project.join("dir/inner")).unwrap();
    fs::set_permissions(project, fs::Permissions::from_mode(0o755)).unwrap();
    let script = "cat source; echo new > made; echo more >> source; rm gone; mkdir sub; echo x > sub/y; \
                  rm -r dir; mkdir dir; echo z > dir/z; mkdir locked; touch locked/in; chmod 000 locked; \
                  mv sub moved; ln -s made link; mkfifo pipe; stat -c '%u:%g' source made .";
    let (ended, output) = fixture.sh(script).await;
    assert_eq!((ended.how, output.as_str()), (HowEnded::Exit(0), "text1000:1000\n1000:1000\n1000:1000\n"));
    let upper = ended.upper.path().to_owned();
    assert_eq!(fs::read_to_string(upper.join("source")).unwrap(), "textmore\n");
    assert_eq!(fs::read_to_string(upper.join("made")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(upper.join("moved/y")).unwrap(), "x\n");
    assert_eq!(fs::read_to_string(upper.join("dir/z")).unwrap(), "z\n");
    let gone = fs::symlink_metadata(upper.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(!upper.join("sub").exists() && upper.join("link").is_symlink());
    // Nothing of it reached the project, and nothing of it is there for the next step.
    assert_eq!(fs::read_to_string(project.join("source")).unwrap(), "text");
    assert_eq!(fixture.output("cat source; ls").await, "textdir\ngone\nsource");
    drop(ended.upper);
    while upper.exists() {
        tokio::task::yield_now().await;
    }
}

async fn programs(fixture: &Fixture) {
    let run = async |words: &[&str]| fixture.run(command(words)).await.0.how;
    let missing = |name: &str| HowEnded::NotFound { command: name.into() };
    assert_eq!(run(&["no-such-program"]).await, missing("no-such-program"));
    assert_eq!(run(&["./no-such-program"]).await, missing("./no-such-program"));
    assert_eq!(run(&[""]).await, missing(""));
    let scripts = fixture.project.path();
    for (name, text, mode) in [
        ("plain", "echo plain $1", 0o755),
        ("unexecutable", "x", 0o644),
        ("lost", "#!/no/such/interpreter\n", 0o755),
    ] {
        fs::write(scripts.join(name), text).unwrap();
        fs::set_permissions(scripts.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let cannot = |name: &str, errno| HowEnded::CannotExecute { command: name.into(), errno };
    assert_eq!(run(&["./unexecutable"]).await, cannot("./unexecutable", libc_errno("EACCES")));
    assert_eq!(run(&["./lost"]).await, cannot("./lost", libc_errno("ENOENT")));
    let (ended, output) = fixture.run(command(&["./plain", "words"])).await;
    assert_eq!((ended.how, output.as_str()), (HowEnded::Exit(0), "plain words\n"));
    assert_eq!(run(&["sh", "-c", "exit 7"]).await, HowEnded::Exit(7));
    assert_eq!(run(&["sh", "-c", "kill -SEGV $$"]).await, HowEnded::Signal(11));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).await, HowEnded::Signal(9));
}

fn libc_errno(name: &str) -> i32 {
    match name {
        "EACCES" => 13,
        _ => 2,
    }
}

async fn orders(fixture: &Fixture) {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let mut order = command(&["true"]);
    order.commands = vec![
        words(&["sh", "-c", "echo one > f"]),
        words(&["cat", "f"]),
        words(&["false"]),
        words(&["echo", "no"]),
    ];
    let (ended, output) = fixture.run(order).await;
    assert_eq!((ended.how, ended.command, output.as_str()), (HowEnded::Exit(1), 2, "one\n"));

    let mut order = sh("pwd; stat -c %Y-%U-%a . ..");
    order.cwd = "out/deep".parse().unwrap();
    let (ended, _) = fixture.run(order.clone()).await;
    assert_eq!(ended.how, HowEnded::BadCwd { errno: 2 });
    order.make_dirs = vec!["out/deep".parse().unwrap(), "out/other".parse().unwrap()];
    let (ended, output) = fixture.run(order).await;
    assert_eq!(output, "/project/out/deep\n946684800-UNKNOWN-755\n946684800-UNKNOWN-755\n");
    assert!(ended.upper.path().join("out/other").is_dir());

    let mut order = sh("echo ${#LONG}");
    order.env.push((b"LONG".to_vec(), vec![b'x'; 100_000]));
    assert_eq!(fixture.run(order).await.1, "100000\n");

    let refused = |order: Order| {
        let (sender, _lines) = tokio::sync::mpsc::channel(1);
        fixture.kitchen.run(order, sender, std::future::pending())
    };
    assert!(refused(Order::new(1, vec![])).await.is_err());
    assert!(refused(Order::new(1, vec![vec![]])).await.is_err());
    assert!(refused(command(&["a\0b"])).await.is_err());
}
