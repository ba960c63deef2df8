//! The steps of a ninja file, as those of a project file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use chef_ninja::{Action, BuildPath, Command, Edge, Layout, Manifest, Plan, PoolName, Step};
use protocol::RelPath;
use protocol::chef::Planned;
use serde_json::{Map, Value, json};

use super::Kind;
use crate::ChefError;

/// The most links that stand beside what is wanted.
const MAX_LINKS: usize = 1000;

/// The plan of a file. `configure`: the step that wrote it, and the folder that it wrote.
pub(super) fn planned(
    manifest: &Manifest,
    layout: &Layout,
    configure: Option<(&str, &Path)>,
    is_left_out: &dyn Fn(&Edge, &Command) -> bool,
    kind: &Kind,
) -> Result<Planned, ChefError> {
    let plan = Plan::new(manifest, layout)?;
    let edges = manifest.edges();
    let is_kept = |step: &&Step| {
        let edge = &edges[step.edge];
        edge.command().is_some_and(|command| !is_left_out(edge, command))
    };
    let mut names: Vec<Option<String>> = vec![None; plan.steps.len()];
    let mut taken = BTreeSet::from([configure.map(|(name, _)| name.to_owned()).unwrap_or_default()]);
    for (index, step) in plan.steps.iter().enumerate().filter(|(_, step)| is_kept(step)) {
        names[index] = Some(free_name(step.id.as_str(), &mut taken));
    }
    let name = |step: usize| names[step].as_deref();
    let (mut steps, mut pools) = (Map::new(), Map::new());
    for (index, step) in plan.steps.iter().enumerate() {
        let Some(own) = name(index) else { continue };
        let edge = &edges[step.edge];
        let before: BTreeSet<usize> = step.needs.iter().chain(step.order_only.iter()).copied().collect();
        let mut after: Vec<&str> = before.into_iter().filter_map(name).collect();
        if after.is_empty() {
            after.extend(configure.map(|(name, _)| name));
        }
        let makes_nothing = edge.command().is_some_and(|command| (kind.makes_nothing)(edge, command));
        let mut value = written(step, edge, &after, makes_nothing, kind.env)?;
        if let Some((pool, depth)) = step.pool.as_ref().and_then(|pool| Some((pool, depth(manifest, pool)?)))
        {
            value["pool"] = json!(pool.to_string());
            pools.insert(pool.to_string(), json!(depth));
        }
        steps.insert(own.to_owned(), value);
    }
    let targets = wanted(&plan, edges, layout, kind, &names, configure)?;
    let mut file = Map::from_iter([("step".to_owned(), Value::Object(steps))]);
    if !targets.is_empty() {
        file.insert("project".to_owned(), json!({ "targets": targets }));
    }
    if !pools.is_empty() {
        file.insert("pools".to_owned(), Value::Object(pools));
    }
    let alias = aliases(&plan, edges, &names, configure.is_some());
    if !alias.is_empty() {
        file.insert("alias".to_owned(), Value::Object(alias));
    }
    Ok(Planned { file, ..Planned::default() })
}

/// The most that a pool of a plan may hold; one that is deeper bounds nothing.
const MAX_DEPTH: u32 = 1000;

/// How many edges of a pool may run at once; `None`: any number.
fn depth(manifest: &Manifest, pool: &PoolName) -> Option<u32> {
    let depth = if pool.is_console() { Some(1) } else { manifest.pools().get(pool).copied() };
    depth.filter(|depth| (1..=MAX_DEPTH).contains(depth))
}

/// One step.
fn written(
    step: &Step,
    edge: &Edge,
    after: &[&str],
    makes_nothing: bool,
    env: &[(&str, &str)],
) -> Result<Value, ChefError> {
    let mut commands = step.commands.clone();
    let mut out: Vec<String> = step.out.iter().map(RelPath::to_string).collect();
    let mut scratch: Vec<String> = step.scratch.iter().map(RelPath::to_string).collect();
    if makes_nothing && let Some(name) = edge.outputs.explicit.first() {
        // What its first output stands for is done; that it is there says so. Whether the others, its byproducts, are made is for the
        // command: ninja does not ask, and an empty file in their place would be built from. Nobody wants to have it.
        let touch = [b"touch".as_slice(), b"--", name.as_bytes()];
        commands.push(touch.map(<[u8]>::to_vec).to_vec());
        out.retain(|path| *path == step.id.as_str());
        scratch.extend(out.iter().cloned());
    }
    let word = |word: &Vec<u8>| {
        String::from_utf8(word.clone()).map_err(|_| ChefError::NoText { place: edge.place.clone() })
    };
    let run: Vec<Vec<String>> =
        commands.iter().map(|command| command.iter().map(word).collect()).collect::<Result<_, _>>()?;
    let mut value = json!({ "run": run, "out": out, "verbatim": true });
    if !scratch.is_empty() {
        value["scratch"] = json!(scratch);
    }
    if !step.cwd.is_root() {
        value["cwd"] = json!(step.cwd.to_string());
    }
    if !env.is_empty() {
        let env = env.iter().map(|(name, said)| ((*name).to_owned(), json!(said)));
        value["env"] = Value::Object(env.collect());
    }
    if !after.is_empty() {
        value["after"] = json!(after);
    }
    Ok(value)
}

/// A name for a step that no other has.
fn free_name(id: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-+./,=@~".contains(c) { c } else { '_' };
    let mut name: String = id.chars().map(plain).collect();
    if !name.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        name.insert(0, '_');
    }
    let mut free = name.clone();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}-{number}");
        number += 1;
    }
    free
}

/// What is built when nobody says: steps, so that what they make without having declared it comes, too; and the links to what they make.
fn wanted(
    plan: &Plan,
    edges: &[Edge],
    layout: &Layout,
    kind: &Kind,
    names: &[Option<String>],
    configure: Option<(&str, &Path)>,
) -> Result<Vec<String>, ChefError> {
    let all = plan.wanted.steps.iter().chain(plan.wanted.validations.iter());
    let mut steps: BTreeSet<usize> = all.copied().filter(|&step| names[step].is_some()).collect();
    let is_link = |step: &usize| {
        let edge = &edges[plan.steps[*step].edge];
        edge.command().is_some_and(|command| (kind.is_link)(edge, command))
    };
    let linked: Vec<usize> = steps.iter().filter(|step| is_link(step)).copied().collect();
    for step in linked {
        steps.extend(plan.steps[step].needs.iter().filter(|&&step| names[step].is_some()));
    }
    let made: BTreeSet<RelPath> =
        steps.iter().flat_map(|&step| plan.steps[step].out.iter().cloned()).collect();
    let mut paths = made.clone();
    if let Some((configure, folder)) = configure {
        if paths.is_empty() {
            return Ok(vec![configure.to_owned()]);
        }
        add_links(&mut paths, &layout.build, folder)?;
    }
    let links = paths.difference(&made).map(|path| format!("./{path}"));
    Ok(steps.iter().filter_map(|&step| names[step].clone()).chain(links).collect())
}

/// Adds the links that configuring made to what is wanted: a library's other names.
fn add_links(wanted: &mut BTreeSet<RelPath>, build: &RelPath, on_disk: &Path) -> Result<(), ChefError> {
    let inside: BTreeSet<RelPath> =
        wanted.iter().filter(|path| path.is_within(build)).filter_map(RelPath::parent).collect();
    for folder in inside {
        let below = folder.as_path().strip_prefix(build.as_path()).unwrap_or(Path::new(""));
        let path = on_disk.join(below);
        let Ok(entries) = fs::read_dir(&path) else { continue };
        let mut links: Vec<(RelPath, RelPath)> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(ChefError::unreadable(&path))?;
            if !entry.file_type().map_err(ChefError::unreadable(&path))?.is_symlink() {
                continue;
            }
            let target = fs::read_link(entry.path()).map_err(ChefError::unreadable(&path))?;
            let own = folder.child(entry.file_name().as_bytes());
            let target = folder.child(target.as_os_str().as_bytes());
            links.extend(own.zip(target));
            if links.len() >= MAX_LINKS {
                break;
            }
        }
        // A link to a link is one to what that leads to.
        while let Some(found) = links.iter().position(|(_, target)| wanted.contains(target)) {
            wanted.insert(links.swap_remove(found).0);
        }
    }
    Ok(())
}

/// The names that ninja would know and that are no files of the project: those of `phony` edges, and what stands at the top of the
/// folder that was configured: a program.
fn aliases(plan: &Plan, edges: &[Edge], names: &[Option<String>], is_elsewhere: bool) -> Map<String, Value> {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| is_elsewhere || edge.action == Action::Phony) {
        let is_name = |path: &&BuildPath| edge.action == Action::Phony || !path.as_bytes().contains(&b'/');
        for path in edge.outputs.explicit.iter().filter(is_name) {
            let Ok(name) = String::from_utf8(path.as_bytes().to_vec()) else { continue };
            // Absolute paths and what orders objects are CMake's own business.
            let is_own = path.is_absolute() || name.starts_with("..") || name.contains("cmake_object_order_");
            let Some(target) = plan.target(path).filter(|_| !is_own) else { continue };
            let both = target.steps.iter().chain(target.validations.iter());
            let steps: BTreeSet<&str> = both.filter_map(|&step| names[step].as_deref()).collect();
            if !steps.is_empty() {
                all.insert(name, json!(steps));
            }
        }
    }
    all.into_iter().collect()
}
