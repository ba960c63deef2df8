//! `watch --run`: the program is run anew after each good build, and leaves nothing behind, however it or who watches ends.

use super::*;

/// The number that the program says to be its own.
#[track_caller]
fn pid(watch: &mut Watch) -> u32 {
    let mut said = String::new();
    loop {
        said.push_str(&watch.0.wait_for_talk("\n"));
        let mut after = said.split("program-").skip(1).filter_map(|rest| rest.split_once('\n'));
        if let Some(pid) = after.find_map(|(pid, _)| pid.parse().ok()) {
            return pid;
        }
    }
}

#[test]
fn the_program_is_run_anew_after_each_good_build() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let run = "echo program-$$ >&2; exec sleep 3600";
    let mut watch = Watch::start(&place, &project, &["--run", run]);
    let is_there = |pid: u32| fs::metadata(format!("/proc/{pid}")).is_ok();
    let first = pid(&mut watch);
    assert!(is_there(first));
    project.write("source", "2");
    let second = pid(&mut watch);
    assert!(!is_there(first) && is_there(second), "the first one is gone before the second one begins");
    watch.interrupt();
    assert!(!is_there(second));
    place.assert_nothing_left();
}

#[test]
fn what_the_program_itself_writes_leaves_it_alone() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(
        &place,
        &project,
        &["--run", "echo program-$$ >> log; echo program-$$ >&2; exec sleep 3600"],
    );
    let first = pid(&mut watch);
    watch.0.wait_for_talk("changed: log");
    watch.0.wait_for_talk("watching");
    project.write("source", "2");
    let second = pid(&mut watch);
    assert_ne!(first, second);
    assert_eq!(project.read("log"), format!("program-{first}\nprogram-{second}\n"));
    watch.interrupt();
    place.assert_nothing_left();
}

/// A program of many processes: some ignore SIGTERM, some leave the group, some the session.
const MANY: &str = "trap '' TERM; (trap '' TERM; sleep 3600) & (sleep 3600 &); setsid sleep 3600 & (setsid setsid -f sleep 3600); \
                    echo program-$$ >&2; sleep 3600";

/// The processes that work in a folder, as what ends with them.
fn at_work(folder: &Path) -> Vec<OwnedFd> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .collect()
}

/// The guard of the program that works in a folder.
fn guard_in(folder: &Path) -> Pid {
    let is_guard = |pid: &Path| {
        fs::read(pid.join("cmdline"))
            .is_ok_and(|words| words.split(|&byte| byte == 0).nth(1) == Some(b"guard"))
            && fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd == folder)
    };
    let mut pids = fs::read_dir("/proc").unwrap().flatten().filter(|entry| is_guard(&entry.path()));
    let entry = pids.next().unwrap();
    Pid::from_raw(entry.file_name().to_str().unwrap().parse().unwrap()).unwrap()
}

#[track_caller]
fn assert_all_end(processes: &[OwnedFd]) {
    // The guard, two shells, and at least as many sleeps as stay where they began.
    assert!(processes.len() >= 6, "{} processes", processes.len());
    for process in processes {
        let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)), Ok(1), "it goes on");
    }
}

#[test]
fn all_that_the_program_started_ends_with_it() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &["--run", MANY]);
    let first = pid(&mut watch);
    let all = at_work(project.path());
    project.write("source", "2");
    assert_ne!(pid(&mut watch), first);
    assert_all_end(&all);
    let all = at_work(project.path());
    watch.interrupt();
    assert_all_end(&all);
    place.assert_nothing_left();
}

#[test]
fn a_program_that_has_ended_is_no_trouble() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &["--run", "echo program-$$ >&2"]);
    let first = pid(&mut watch);
    project.write("source", "2");
    assert_ne!(pid(&mut watch), first);
    watch.interrupt();
    place.assert_nothing_left();
}

#[test]
fn kill_nine_leaves_nothing_of_the_program() {
    for place in [Place::new(), Place::ordinary()] {
        let project = place.project("p", COPY);
        project.write("source", "1");
        let mut watch = Watch::start(&place, &project, &["--run", MANY]);
        pid(&mut watch);
        let all = at_work(project.path());
        watch.0.signal(Signal::KILL);
        assert_eq!(watch.0.end().signal, Some(9));
        assert_all_end(&all);
        left::assert_nothing(place.path());
    }
}

#[test]
fn kill_nine_of_the_guard_leaves_nothing_of_the_program() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &["--run", MANY]);
    pid(&mut watch);
    let all = at_work(project.path());
    kill_process(guard_in(project.path()), Signal::KILL).unwrap();
    assert_all_end(&all);
    // The next change starts it once more.
    project.write("source", "2");
    pid(&mut watch);
    let all = at_work(project.path());
    // Both at once: the next watch of the project ends what they left.
    let guard = guard_in(project.path());
    watch.0.signal(Signal::STOP);
    kill_process(guard, Signal::KILL).unwrap();
    watch.0.signal(Signal::KILL);
    assert!(watch.0.ends_within(Duration::from_secs(60)));
    let mut next = Watch::start(&place, &project, &["--run", "echo program-$$ >&2"]);
    pid(&mut next);
    assert_all_end(&all);
    assert_eq!(watch.0.end().signal, Some(9));
    next.interrupt();
    left::assert_nothing(place.path());
}
