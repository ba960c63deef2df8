//! Where things are: the pod's home, and the project that the user means.
//!
//! `majordomo build [PROJECT] [TARGET…]` has to tell a project from a target. The first word is a project if it is a
//! folder with a `majordomo.toml` in it, or if it can be nothing else: it is a folder that is written as no target is (`.`, `../x`,
//! absolute), or neither the current folder nor one above it has a `majordomo.toml`. Everything else is a target. That a folder exists is not enough, or
//! `majordomo build html` would mean a target before the first build and a folder after it.
//!
//! A project that chefs plan has no such file. Around the current folder it is known by its `.majordomo` once it has been
//! built; before that, the current folder is one if a built-in chef would recognise it. This is a guess at what is meant: a
//! folder that is named is taken as it is, and the chefs are asked in earnest when it is built. A chef may know a folder for
//! what is further down, so a folder that is named, and that one would know or that was built, goes before the current one.
//!
//! A registered project is named where a word can be nothing else, or with `project:` before it: names that others give must not change what a target means.

use std::path::{Component, Path, PathBuf};

use protocol::mesh::{BadProjectName, PROJECT_PREFIX, ProjectName};

use crate::cli::border;
use crate::cli::context::Environment;
use crate::env_vars;
use crate::majordomo::chefs;
use crate::majordomo::request::{Failure, FailureKind};
use crate::majordomo::workspace::FOLDER;

/// The file that makes a folder a project.
pub use protocol::path::PROJECT_FILE;

/// The pod's home, absolute: what `--home` says, else the environment, else the XDG data folder.
///
/// # Errors
/// Nothing says where it is.
pub fn home(said: Option<&Path>, env: &Environment, cwd: Option<&Path>) -> Result<PathBuf, Failure> {
    let named = said.map(Path::to_owned).or_else(|| env.get(&env_vars::COMPUTEPODS_HOME).map(PathBuf::from));
    if let Some(named) = named {
        if named.is_absolute() {
            return Ok(named);
        }
        return cwd.map(|cwd| cwd.join(&named)).ok_or_else(|| {
            border::mistake(format!("the home `{}` is relative to a folder that is gone", named.display()))
        });
    }
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    env.get(&env_vars::XDG_DATA_HOME)
        .and_then(|data| absolute(PathBuf::from(data)))
        .or_else(|| absolute(PathBuf::from(env.get(&env_vars::HOME)?)).map(|home| home.join(".local/share")))
        .map(|data| data.join("computepods"))
        .ok_or_else(|| {
            border::mistake("no place for the pod's home: neither `XDG_DATA_HOME` nor `HOME` is set")
                .hint("name one: `--home DIR`, or set `COMPUTEPODS_HOME`")
        })
}

/// Where somebody stands who names a project, or none.
pub struct Around {
    /// The current folder.
    pub cwd: PathBuf,
    /// The pod's home, whose chefs may know a folder.
    pub home: Option<PathBuf>,
}

/// The project that is meant: the folder that was named, else the nearest one with a project file, from the current
/// folder upwards, else the nearest one that was built, else the current folder if a chef would know it. Absolute, links resolved.
///
/// # Errors
/// The folder is not there, no project is found, or its path is not UTF-8.
pub fn project(named: Option<&Path>, around: &Around) -> Result<PathBuf, Failure> {
    let cwd = around.cwd.as_path();
    match named {
        Some(named) => resolved(named, cwd),
        None => match nearest(cwd).or_else(|| built(cwd)).or_else(|| known(cwd, around)) {
            Some(project) => resolved(&project, cwd),
            None => Err(border::mistake(format!(
                "no `{PROJECT_FILE}` in `{}` or in a folder above it, and no chef knows that folder",
                cwd.display()
            ))
            .hint(format!("go to a project, name its folder, or write a `{PROJECT_FILE}`"))),
        },
    }
}

/// The folder that is named, if somebody would know how to build it: it has a project file, was built, or a chef knows it.
///
/// # Errors
/// It is not there, or nobody would.
pub fn buildable(named: &Path, around: &Around) -> Result<PathBuf, Failure> {
    let folder = project(Some(named), around)?;
    if has_project_file(&folder) || folder.join(FOLDER).is_dir() || known(&folder, around).is_some() {
        return Ok(folder);
    }
    Err(border::mistake(format!(
        "`{}` is no project: it has no `{PROJECT_FILE}`, and no chef knows it",
        folder.display()
    ))
    .hint(format!("write a `{PROJECT_FILE}`, or name the folder of a project")))
}

/// The registered project and the targets that the words of `majordomo build` mean, if the first word is a name: said to be one by `project:`,
/// or where there is no project to have targets.
///
/// # Errors
/// What is said to be a name is none.
pub fn named_and_targets(
    words: &[String],
    around: &Around,
) -> Result<Option<(ProjectName, Vec<String>)>, Failure> {
    let Some((first, targets)) = words.split_first() else { return Ok(None) };
    let is_said = first.starts_with(PROJECT_PREFIX);
    if !is_said && project(None, around).is_ok() {
        return Ok(None);
    }
    Ok(named_project(first, &around.cwd)?.map(|name| (name, targets.to_vec())))
}

/// The registered project that a word means, if it is the name of one, and no folder.
///
/// # Errors
/// What is said to be a name by `project:` is none.
pub fn named_project(word: &str, cwd: &Path) -> Result<Option<ProjectName>, Failure> {
    match word.strip_prefix(PROJECT_PREFIX) {
        Some(name) => {
            let name = name.parse().map_err(|error: BadProjectName| Failure::new(FailureKind::User, &error));
            name.map(Some)
        }
        None if cwd.join(word).exists() => Ok(None),
        None => Ok(word.parse().ok()),
    }
}

/// The project and the targets that the words of `majordomo build` mean.
///
/// # Errors
/// As [`project`].
pub fn project_and_targets(
    named: Option<&Path>,
    words: &[String],
    around: &Around,
) -> Result<(PathBuf, Vec<String>), Failure> {
    let cwd = around.cwd.as_path();
    let first_is_project = named.is_none()
        && words.first().is_some_and(|first| {
            let folder = cwd.join(first);
            let is_nowhere = || nearest(cwd).is_none() && built(cwd).is_none();
            has_project_file(&folder)
                || folder.is_dir() && is_no_target(first)
                || folder.join(FOLDER).is_dir()
                || (folder.is_dir()
                    && is_nowhere()
                    && (known(&folder, around).is_some() || known(cwd, around).is_none()))
        });
    let (first, targets) = if first_is_project { words.split_at(1) } else { words.split_at(0) };
    let named = named.or(first.first().map(Path::new));
    let project = project(named, around).map_err(|failure| match words.first() {
        Some(first) if named.is_none() => {
            failure.hint(format!("`{first}` is no folder, so it was taken for a target"))
        }
        _ => failure,
    })?;
    Ok((project, targets.to_vec()))
}

/// Whether a word leads to a folder in a way in which no target is written: absolute, up, or `.`.
fn is_no_target(word: &str) -> bool {
    let word = Path::new(word);
    word.is_absolute()
        || matches!(word.components().next(), Some(Component::ParentDir))
        || word == Path::new(".")
}

fn has_project_file(folder: &Path) -> bool {
    folder.join(PROJECT_FILE).is_file()
}

fn nearest(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors().find(|folder| has_project_file(folder)).map(Path::to_owned)
}

/// The nearest folder that was built.
fn built(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors().find(|folder| folder.join(FOLDER).is_dir()).map(Path::to_owned)
}

/// A folder, if a chef would recognise it: a built-in one, or one that the home has. One that cannot be read is known: a build says why.
fn known(folder: &Path, around: &Around) -> Option<PathBuf> {
    let knows = |chef: &chef_builtin::Chef| (chef.detect)(folder).map_or(true, |detected| detected.sure > 0);
    let is_of_home = || around.home.as_deref().is_some_and(|home| chefs::may_know(home, folder));
    (chef_builtin::ALL.iter().any(knows) || is_of_home()).then(|| folder.to_owned())
}

fn resolved(named: &Path, cwd: &Path) -> Result<PathBuf, Failure> {
    let folder = cwd.join(named).canonicalize().map_err(|error| {
        border::because(
            FailureKind::User,
            format!("cannot use the project folder `{}`", named.display()),
            &error,
        )
    })?;
    if !folder.is_dir() {
        let named = named.display();
        return Err(
            border::mistake(format!("`{named}` is not a folder")).hint("a project is named by its folder")
        );
    }
    match folder.to_str() {
        Some(_) => Ok(folder),
        None => Err(border::mistake(format!("the path of the project is not UTF-8: `{}`", folder.display()))
            .hint("names inside of a project may be any bytes; the folders above it may not")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_found_in_order() {
        let all = [("COMPUTEPODS_HOME", "/c"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        let home = |said: Option<&str>, from: usize| {
            let env = Environment::of(all[from..].iter().copied());
            home(said.map(Path::new), &env, Some(Path::new("/cwd"))).map(|home| home.display().to_string())
        };
        assert_eq!(home(Some("rel"), 0).unwrap(), "/cwd/rel");
        assert_eq!(home(None, 0).unwrap(), "/c");
        assert_eq!(home(None, 1).unwrap(), "/x/computepods");
        assert_eq!(home(None, 2).unwrap(), "/h/.local/share/computepods");
        assert_eq!(home(None, 3).unwrap_err().kind, FailureKind::User);
    }

    #[test]
    fn a_target_is_told_from_a_project() {
        let scratch = tempfile::tempdir().unwrap();
        let base = scratch.path().canonicalize().unwrap();
        let (outer, inner) = (base.join("outer"), base.join("outer/inner"));
        for folder in [&inner, &outer.join("html"), &base.join("bare")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        for project in [&outer, &inner] {
            std::fs::write(project.join(PROJECT_FILE), "").unwrap();
        }
        let meant = |cwd: &Path, words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            project_and_targets(None, &words, &Around { cwd: cwd.to_owned(), home: None })
        };
        // A folder that is no project is a target, once there is a project to have targets.
        assert_eq!(meant(&outer, &["html"]).unwrap(), (outer.clone(), vec!["html".into()]));
        assert_eq!(meant(&outer.join("html"), &[]).unwrap(), (outer.clone(), vec![]));
        assert_eq!(meant(&outer, &["inner", "x"]).unwrap(), (inner.clone(), vec!["x".into()]));
        assert_eq!(meant(&outer, &[".", "inner"]).unwrap(), (outer.clone(), vec!["inner".into()]));
        assert_eq!(meant(&inner, &["..", "x"]).unwrap(), (outer.clone(), vec!["x".into()]));
        // Nor is what no target is written as, whatever is around it.
        std::fs::create_dir(outer.join(FOLDER)).unwrap();
        let html = outer.join("html");
        for word in [".", "../html", html.to_str().unwrap()] {
            assert_eq!(meant(&html, &[word, "x"]).unwrap(), (html.clone(), vec!["x".into()]), "{word}");
        }
        // Without a project around it a folder is what the user must mean.
        assert_eq!(meant(&base, &["bare"]).unwrap(), (base.join("bare"), vec![]));
        let failure = meant(&base, &["bin/lua"]).unwrap_err();
        assert!(failure.message.starts_with("no `majordomo.toml` in"), "{failure:?}");
        assert_eq!(failure.hints[1], "`bin/lua` is no folder, so it was taken for a target");
        // What was built is a project, and so is what a chef would know before the folder around it.
        std::fs::create_dir(base.join("bare").join(FOLDER)).unwrap();
        assert_eq!(meant(&outer, &["../bare", "x"]).unwrap(), (base.join("bare"), vec!["x".into()]));
        let papers = base.join("papers");
        std::fs::create_dir_all(papers.join("thesis")).unwrap();
        let document = "\\documentclass{article}\\begin{document}\\end{document}";
        std::fs::write(papers.join("thesis/thesis.tex"), document).unwrap();
        assert_eq!(meant(&papers, &["thesis"]).unwrap(), (papers.join("thesis"), vec![]));
        assert_eq!(meant(&papers, &["thesis.pdf"]).unwrap(), (papers.clone(), vec!["thesis.pdf".into()]));
        // What `--project` names is the project, and all words are targets.
        let words = ["inner".to_owned()];
        assert_eq!(
            project_and_targets(Some(Path::new("..")), &words, &Around { cwd: inner, home: None }).unwrap(),
            (outer, vec!["inner".into()])
        );
    }
}
