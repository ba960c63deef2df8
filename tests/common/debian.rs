//! Sources of Debian packages, fetched with `apt-get source` without touching the machine's own configuration.
//!
//! The machine's own sources are read for where to ask (`deb` becomes `deb-src` in a copy); lists and archives are in a folder of
//! ours. What was fetched once is kept below cargo's folder for tests, so a second run needs no network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// Unpacks the sources of a package, with Debian's patches, into a folder that is not there yet. `false`, with a printed
/// reason, where that is not possible; in CI that is a failure.
#[must_use]
pub fn unpack(package: &str, into: &Path) -> bool {
    unpack_with(package, into, &["--no-check"])
}

/// As [`unpack`], as its authors released it.
#[must_use]
pub fn unpack_upstream(package: &str, into: &Path) -> bool {
    unpack_with(package, into, &["--no-check", "--skip-patches"])
}

fn unpack_with(package: &str, into: &Path, options: &[&str]) -> bool {
    match fetch(package) {
        Ok(description) => {
            run(Command::new("dpkg-source").args(options).arg("-x").arg(description).arg(into)).unwrap();
            true
        }
        Err(why) if std::env::var_os("CI").is_some() => {
            panic!("the sources of `{package}` are needed: {why}")
        }
        Err(why) => {
            println!("skipped: the sources of `{package}` could not be fetched: {why}");
            false
        }
    }
}

/// The package's `.dsc`, with what it names beside it.
fn fetch(package: &str) -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-sources");
    let folder = cache.join(package);
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(cache.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    // Written when all is there.
    let done = folder.join("done");
    if !done.exists() {
        let options = options(&cache)?;
        run(Command::new("apt-get").args(&options).arg("update"))?;
        run(Command::new("apt-get")
            .args(&options)
            .args(["source", "--download-only", package])
            .current_dir(&folder))?;
        fs::write(&done, "").unwrap();
    }
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let description =
        files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "dsc"));
    description.ok_or_else(|| format!("`{}` has no description", folder.display()))
}

/// Options that keep apt within a folder, but for where it asks.
fn options(cache: &Path) -> Result<Vec<String>, String> {
    let parts = cache.join("parts");
    for folder in ["parts", "lists/partial", "archives/partial"] {
        fs::create_dir_all(cache.join(folder)).unwrap();
    }
    let mut found = false;
    for (number, path) in own_sources().into_iter().enumerate() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_list = path.extension().is_some_and(|extension| extension == "list");
        let text = if is_list { one_line(&text) } else { stanzas(&text) };
        found |= !text.is_empty();
        let kind = if is_list { "list" } else { "sources" };
        fs::write(parts.join(format!("{number}.{kind}")), text).unwrap();
    }
    if !found {
        return Err("this machine has no Debian sources in `/etc/apt`".to_owned());
    }
    let set = |name: &str, folder: &str| format!("-o{name}={}", cache.join(folder).display());
    Ok(vec![
        "-qq".to_owned(),
        "-oDir::Etc::SourceList=/dev/null".to_owned(),
        set("Dir::Etc::SourceParts", "parts"),
        set("Dir::State::Lists", "lists"),
        set("Dir::Cache", ""),
        "-oAcquire::Languages=none".to_owned(),
        "-oAcquire::Retries=3".to_owned(),
        // Without this an update that could fetch nothing is a success.
        "-oAPT::Update::Error-Mode=any".to_owned(),
        // A folder of ours is not for apt's own user to write.
        "-oAPT::Sandbox::User=root".to_owned(),
    ])
}

fn own_sources() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    all.extend(parts.map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    }));
    all.sort();
    all
}

/// Whether a suite is one of the system's own, and not of somebody else's repository.
fn is_own(suites: &str) -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("");
    let own = |suite: &str| {
        name.is_empty()
            || suite.split('-').next() == Some(name)
            || ["sid", "unstable", "testing", "stable"].contains(&suite)
    };
    suites.split_whitespace().any(own)
}

/// `deb …` lines (sources.list(5)) as `deb-src …`.
fn one_line(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("deb "));
    let own = lines.filter(|line| {
        let after_options = line.rsplit_once(']').map_or(*line, |(_, rest)| rest);
        after_options.split_whitespace().nth(1).is_some_and(is_own)
    });
    own.map(|line| format!("deb-src {line}\n")).collect()
}

/// deb822 stanzas (sources.list(5)) with `Types: deb-src`.
fn stanzas(text: &str) -> String {
    let field = |stanza: &str, name: &str| {
        stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    let own = text.split("\n\n").filter(|stanza| is_own(&field(stanza, "Suites:")));
    let as_sources = |stanza: &str| -> String {
        let lines = stanza.lines().filter(|line| !line.starts_with("Types:") && !line.starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect()
    };
    own.map(|stanza| format!("Types: deb-src\n{}\n", as_sources(stanza))).collect()
}

fn run(command: &mut Command) -> Result<(), String> {
    let ended = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ended.stderr).into_owned()),
    }
}
