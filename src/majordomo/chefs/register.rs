//! What a user does with chefs: adding, listing, removing, enabling.

use std::path::Path;

use larder::ObjectKind;
use node::Pod;

use super::about::About;
use super::find::is_there;
use super::program::{ProgramError, taken_in};
use super::question::chain;
use super::registry::{self, Registered, Registry, RegistryError};
use super::{Fallible, examples};
use crate::majordomo::border;
use crate::majordomo::request::{ChefInfo, ChefRequest, ChefsReport, Failure, Report};
use crate::majordomo::sink::{Cancel, Sink};

/// Answers a request about chefs. `None`: it was cancelled.
///
/// # Errors
/// There is no such chef, or it cannot be taken in.
pub async fn carry_out(
    pod: &Pod,
    request: ChefRequest,
    hearing: (&Sink, &Cancel),
) -> Fallible<Option<Report>> {
    if let ChefRequest::Test { from, environment } = request {
        return Ok(examples::test(pod, &from, environment, hearing).await?.map(Report::ChefTest));
    }
    let pod = pod.clone();
    let answering = tokio::task::spawn_blocking(move || answer(&pod, request));
    let report = answering.await.map_err(|_| Box::new(border::machine("it ended in the middle")))??;
    Ok(Some(Report::Chefs(report)))
}

/// The answer where there is no home, if it is a question: only what comes with this program is known then.
pub fn without_a_home(request: &ChefRequest) -> Option<Fallible<ChefsReport>> {
    let list = Registry::default();
    match request {
        ChefRequest::List => Some(Ok(all(&list))),
        ChefRequest::Show { name } => Some(one(&list, name)),
        _ => None,
    }
}

fn one(list: &Registry, name: &str) -> Fallible<ChefsReport> {
    match info(list, name) {
        Some(info) => Ok(ChefsReport { chefs: vec![info], replaced: None }),
        None => Err(Box::new(unknown(list, name))),
    }
}

fn all(list: &Registry) -> ChefsReport {
    let ours = chef_builtin::ALL.iter().chain([&chef_builtin::SHELL]);
    let mut chefs: Vec<ChefInfo> = ours.map(|chef| built_in(list, chef.name)).collect();
    chefs.extend(list.chefs.iter().map(|chef| registered(list, chef)));
    chefs.sort_by(|a, b| a.name.cmp(&b.name));
    ChefsReport { chefs, replaced: None }
}

fn answer(pod: &Pod, request: ChefRequest) -> Fallible<ChefsReport> {
    let home = pod.home().path();
    let _changing = registry::change();
    let mut list = load(home)?;
    match request {
        ChefRequest::List => Ok(all(&list)),
        ChefRequest::Show { name } => one(&list, &name),
        ChefRequest::Add { from } => {
            let (about, tree, _) = taken_in(pod.larder(), &from).map_err(|error| refused(&from, &error))?;
            let name = about.name.clone();
            if is_ours(&name) {
                let failure = border::mistake(format!("a built-in chef is called `{name}`, too"));
                return Err(Box::new(failure.hint("give yours another `name`")));
            }
            let tree = pod.larder().put(ObjectKind::Tree, &tree.encode());
            let tree = tree.map_err(|error| Box::new(border::node(&error.into())))?;
            let replaced =
                list.put(Registered { about, tree, from: None }).map(|before| before.about.version);
            save(&list, home)?;
            Ok(ChefsReport { replaced, ..one(&list, &name)? })
        }
        ChefRequest::Remove { name } => {
            let removed = one(&list, &name)?;
            if list.find(&name).is_some_and(|chef| chef.from.is_some()) {
                let failure =
                    border::mistake(format!("the chef `{name}` is lent by another pod of the federation"));
                return Err(Box::new(failure.hint(format!(
                    "`pod chef remove {name}` there takes it back; `pod chef disable {name}` keeps it from being asked here"
                ))));
            }
            if list.take(&name).is_none() {
                let failure = border::mistake(format!("the chef `{name}` is built in"));
                return Err(Box::new(
                    failure.hint(format!("`pod chef disable {name}` keeps it from being asked")),
                ));
            }
            list.enable(&name, true);
            save(&list, home)?;
            Ok(removed)
        }
        ChefRequest::Enable { name, is_enabled } => {
            one(&list, &name)?;
            list.enable(&name, is_enabled);
            save(&list, home)?;
            one(&list, &name)
        }
        ChefRequest::Test { .. } => Err(Box::new(border::machine("a test is no change of the list"))),
    }
}

pub(super) fn is_ours(name: &str) -> bool {
    chef_builtin::ALL.iter().any(|chef| chef.name == name) || name == chef_builtin::SHELL.name
}

/// The list of this home.
pub(super) fn load(home: &Path) -> Fallible<Registry> {
    Registry::load(home).map_err(|error| listed(&error))
}

fn save(list: &Registry, home: &Path) -> Fallible<()> {
    list.save(home).map_err(|error| listed(&error))
}

fn listed(error: &RegistryError) -> Box<Failure> {
    Box::new(Failure::new(crate::majordomo::request::FailureKind::Machine, error))
}

/// A folder or file that is no chef.
pub(super) fn refused(from: &Path, error: &ProgramError) -> Box<Failure> {
    let mut failure = border::mistake(format!("`{}` is no chef that can be used", from.display()));
    failure.causes.push(chain(error));
    Box::new(failure.hint("a chef is a folder with a `chef.toml` and a program, or one program that says the same in its comments"))
}

fn unknown(list: &Registry, name: &str) -> Failure {
    let failure = border::mistake(format!("there is no chef `{name}`"));
    let all = chef_builtin::ALL.iter().map(|chef| chef.name);
    let all = all.chain(list.chefs.iter().map(|chef| chef.about.name.as_str()));
    match crate::majordomo::project_file::nearest::nearest(name, all) {
        Some(nearest) => failure.hint(format!("the nearest is `{nearest}`; `pod chef list` shows all")),
        None => failure.hint("`pod chef list` shows all"),
    }
}

fn info(list: &Registry, name: &str) -> Option<ChefInfo> {
    match list.find(name) {
        Some(chef) => Some(registered(list, chef)),
        None => is_ours(name).then(|| built_in(list, name)),
    }
}

fn built_in(list: &Registry, name: &str) -> ChefInfo {
    ChefInfo {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: protocol::chef::PROTOCOL,
        is_built_in: true,
        is_enabled: list.is_enabled(name),
        is_asked: list.is_enabled(name),
        ..ChefInfo::default()
    }
}

fn registered(list: &Registry, chef: &Registered) -> ChefInfo {
    let About {
        name,
        version,
        protocol,
        program,
        recognises,
        tools,
        projections,
        normalisers,
        defaults,
        timeout: _,
    } = chef.about.clone();
    ChefInfo {
        is_built_in: false,
        is_enabled: list.is_enabled(&name),
        is_asked: list.is_asked(chef),
        tree: Some(chef.tree),
        lent_by: chef.from,
        timeout: Some(chef.about.patience().as_secs()),
        missing: tools.iter().filter(|tool| !is_there(tool, &[])).cloned().collect(),
        name,
        version,
        protocol,
        program,
        recognises,
        tools,
        projections,
        normalisers,
        defaults,
    }
}
