//! One test's place: a temporary folder on a real disk with a home, projects and programs of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::engine;
use super::hosts::Hosts;
use super::left;
use super::private_mounts;
use super::project::Project;
use super::running::{Ended, Running};

/// Where temporary folders of tests are made, if somebody says so.
const TEST_DIR: &str = "COMPUTEPODS_TEST_DIR";
/// The user that tests become to be an ordinary one.
const ORDINARY: u32 = 47_113;
/// What folders cannot hold a kitchen's scratch folder or are not like a user's disk: overlayfs, FUSE, NFS, 9p.
const UNFIT: [u64; 4] = [0x794c_7630, 0x6573_5546, 0x6969, 0x0102_1997];

/// One test's place.
pub struct Place {
    path: PathBuf,
    home: PathBuf,
    user: Option<u32>,
    network: Option<String>,
    _folder: TempDir,
    _snapshots: insta::internals::SettingsBindDropGuard,
}

/// The first folder on a real disk that users may enter.
fn base() -> PathBuf {
    let asked = std::env::var_os(TEST_DIR).map(PathBuf::from);
    let fixed = ["/var/tmp", "/tmp", env!("CARGO_TARGET_TMPDIR"), "/dev/shm"].map(PathBuf::from);
    let fits = |path: &PathBuf| {
        let magic = rustix::fs::statfs(path).map_or(0, |stat| stat.f_type as u64);
        magic != 0 && !UNFIT.contains(&magic)
    };
    let found = asked.into_iter().chain(fixed).find(fits);
    found.unwrap_or_else(|| panic!("no folder on a real disk: name one in `{TEST_DIR}`"))
}

impl Place {
    /// A place of the user who runs the tests.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// A place of an ordinary user: root becomes one.
    pub fn ordinary() -> Self {
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            private_mounts::open_fuse_to_all();
        }
        Self::of(is_root.then_some(ORDINARY))
    }

    fn of(user: Option<u32>) -> Self {
        let folder = tempfile::Builder::new().prefix("computepods-test-").tempdir_in(base()).unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["programs", "user", "projects", "run"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        for (name, program) in
            [("majordomo", env!("CARGO_BIN_EXE_majordomo")), ("pod", env!("CARGO_BIN_EXE_pod"))]
        {
            // Programs of the place's own tell its processes from those of other tests.
            let own = path.join("programs").join(name);
            fs::hard_link(program, &own).or_else(|_| fs::copy(program, &own).map(drop)).unwrap();
        }
        fs::set_permissions(path.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&path.to_string_lossy(), "[PLACE]");
        settings.add_filter(r"\b\d+\.\d+ s\b", "[TIME]");
        settings.add_filter(r"b3:[0-9a-f]{8,}", "b3:[DIGEST]");
        // How much a tool looks at is the machine's matter.
        settings.add_filter(r"\b\d+ (observations|things that it saw)", "[N] $1");
        settings.add_filter(r"process \d+", "process [PID]");
        settings.add_filter(r"scratch/\d+-\d+", "scratch/[N]");
        let home = path.join("home");
        let _snapshots = settings.bind_to_scope();
        let place = Self { home, path, user, network: None, _folder: folder, _snapshots };
        place.give(&place.path);
        place
    }

    /// A place on one of several hosts: its programs have that one's network.
    pub fn on(hosts: &Hosts, host: usize) -> Self {
        let mut place = Self::of(None);
        place.network = Some(hosts.namespace(host));
        place
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pod's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Gives the home all objects of another place's home, and nothing that only that one knows: no index, no workspaces.
    pub fn take_objects_of(&self, other: &Place) {
        let (from, to) = (other.home.join("larder"), self.home.join("larder"));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                copy_all(&entry.path(), &to.join(entry.file_name()));
            } else if !entry.file_name().to_string_lossy().starts_with("index.sqlite") {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        fs::copy(other.home.join("version"), self.home.join("version")).unwrap();
        self.give(&self.home);
    }

    /// Gives a folder and all below it to the place's user.
    pub fn give(&self, path: &Path) {
        let Some(user) = self.user else { return };
        chown_all(path, user);
    }

    /// A program of ours with nothing of the caller's environment.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.at_its_host(&self.path.join("programs").join(program));
        self.surround(&mut command);
        command.env("COMPUTEPODS_HOME", &self.home).current_dir(self.path.join("projects")).args(arguments);
        command
    }

    /// A line as somebody types it at a shell that finds our programs.
    pub fn line(&self, folder: &Path, line: &str) -> Command {
        let mut command = self.at_its_host(Path::new("/bin/bash"));
        self.surround(&mut command);
        let programs = self.path.join("programs");
        let line = format!("PATH={}:$PATH; {line}", programs.display());
        command.current_dir(folder).args(["-c", &line]);
        command
    }

    /// A program, with the network of the place's host.
    fn at_its_host(&self, program: &Path) -> Command {
        match &self.network {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
                command
            }
        }
    }

    /// Podman, as the place's user has it.
    pub fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        self.surround(&mut command);
        command.current_dir(&self.path);
        command
    }

    /// Nothing of the caller's environment, and the place's user.
    fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.path.join("user"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8");
        engine::hand_on(command);
        if let Some(user) = self.user {
            command.uid(user).gid(user).env("XDG_RUNTIME_DIR", self.path.join("run"));
        }
    }

    /// Runs `majordomo` to its end.
    #[track_caller]
    pub fn majordomo(&self, arguments: &[&str]) -> Ended {
        Running::start(self.command("majordomo", arguments)).end()
    }

    /// Runs `pod` to its end.
    #[track_caller]
    pub fn pod(&self, arguments: &[&str]) -> Ended {
        Running::start(self.command("pod", arguments)).end()
    }

    /// A pod that stands in its home.
    #[track_caller]
    pub fn standing(&self) -> Running {
        Running::standing(self.command("pod", &[]))
    }

    /// Tells the pod that stands in its home to go, and waits for its end.
    #[track_caller]
    pub fn stops(&self, pod: Running) -> Ended {
        self.pod(&["stop"]).ok();
        pod.end()
    }

    /// A project with nothing but its project file.
    pub fn project(&self, name: &str, file: &str) -> Project<'_> {
        let project = self.bare(name);
        project.write("majordomo.toml", file);
        project
    }

    /// A project with nothing in it.
    pub fn bare(&self, name: &str) -> Project<'_> {
        let path = self.path.join("projects").join(name);
        fs::create_dir_all(&path).unwrap();
        self.give(&path);
        Project::new(self, path)
    }

    /// A copy of one of our examples.
    pub fn example(&self, name: &str) -> Project<'_> {
        let path = self.path.join("projects").join(name);
        copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name), &path);
        self.give(&path);
        Project::new(self, path)
    }

    /// Asserts that nothing of this place is mounted or running any more.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        left::assert_nothing(&self.path);
        left::assert_no_kitchen(&self.home);
        assert!(!self.home.join("pod.sock").exists(), "the socket is left");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            left::assert_nothing(&self.path);
            if engine::is_podman() {
                engine::assert_no_container(|| self.podman(), &self.home);
            }
        } else {
            left::end_programs(&self.path);
        }
        engine::end_pause(&self.path.join("run"));
        private_mounts::unmount_below(&self.path);
        open_folders(&self.home);
    }
}

/// Copies a folder: files with their exec bit, links as they are.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        // What builds of the checkout's own examples left is no part of them.
        if ["bin", "obj", "html", ".majordomo", "__pycache__"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            copy_all(&entry.path(), &to);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Opens folders that nobody may enter, as overlays leave them, so that their owner can remove what is above.
fn open_folders(folder: &Path) {
    let Ok(meta) = fs::symlink_metadata(folder) else { return };
    if !meta.is_dir() {
        return;
    }
    if meta.mode() & 0o700 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).ok();
    }
    fs::read_dir(folder).into_iter().flatten().flatten().for_each(|entry| open_folders(&entry.path()));
}

fn chown_all(path: &Path, user: u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_symlink() {
        return;
    }
    // A program is linked into the place, and stays whose it is.
    if meta.nlink() == 1 || meta.is_dir() {
        chown(path, Some(user), Some(user)).unwrap();
    }
    if meta.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| chown_all(&entry.unwrap().path(), user));
    }
}
