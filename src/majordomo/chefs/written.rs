//! A chef's plan, as the project file that says the same.

use std::path::Path;

use protocol::chef::Planned;

use super::Fallible;
use crate::majordomo::border;
use crate::majordomo::project_file::ProjectFile;

/// What helps if a chef does not.
pub(super) const WITHOUT: &str = "a `majordomo.toml` with steps builds the project without a chef";

/// What the ids of steps that ask chefs begin with, before the `:`.
pub(super) const ASKING: &str = "chef";

/// The plan as the text of a project file.
///
/// # Errors
/// Something in it has no form in TOML: a `null`, a number beyond 64 bits.
pub fn text(planned: &Planned) -> Result<String, toml::ser::Error> {
    toml::to_string_pretty(&planned.file)
}

/// What a project is called where nothing says it.
pub fn label(project: &Path) -> String {
    project.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The plan as it is read, together with the project's own file.
pub fn file(
    chef: &str,
    planned: &Planned,
    project: &str,
    own: Option<&ProjectFile>,
) -> Fallible<ProjectFile> {
    let hint = format!(
        "the chef `{chef}` has to be mended; a `majordomo.toml` with steps builds the project without it"
    );
    let broken = |why: String| {
        let mut failure = border::mistake(format!("the plan of the chef `{chef}` is none"));
        failure.causes.push(why);
        Box::new(failure.hint(&hint))
    };
    let text = text(planned).map_err(|error| broken(error.to_string()))?;
    let said_by = format!("the plan of the chef `{chef}`");
    let mut file = ProjectFile::parse_said(&said_by, project, text.as_bytes()).map_err(|error| {
        let mut failure = border::project_file(&error);
        failure.hints.push(hint.clone());
        Box::new(failure)
    })?;
    if !file.chefs.is_empty() {
        return Err(broken("it leaves the plan to another chef".to_owned()));
    }
    // A plan may come from whoever wrote the sources; what its steps may know is for whoever builds them.
    if let Some(rule) = file.steps.iter().find(|rule| !rule.secrets.is_empty()) {
        let step = &rule.name.value;
        return Err(broken(format!("it gives a secret to `{step}`, which only a project's own file may do")));
    }
    if !file.tool_roots.is_empty() {
        let why = "it shows folders of this machine to steps, which only a project's own file may do";
        return Err(broken(why.to_owned()));
    }
    if let Some(own) = own {
        file = file.beside(own).map_err(|error| Box::new(border::project_file(&error)))?;
    }
    if file.steps.iter().any(|step| step.name.value == ASKING) {
        let message = format!(
            "a project that a chef plans has a step `{ASKING}`, and the steps that ask chefs are called so, too"
        );
        return Err(Box::new(border::mistake(message).hint("give the step another name")));
    }
    Ok(file)
}

/// Holds a plan to what the chef of another pod may plan by itself: nothing of it leaves this machine or changes sources, unless the project's own file has
/// that step, too.
///
/// # Errors
/// A step that may not be.
pub fn of_another_pod(chef: &str, file: &ProjectFile, own: Option<&ProjectFile>) -> Fallible<()> {
    let own: Vec<&str> =
        own.into_iter().flat_map(|own| own.steps.iter().map(|rule| rule.name.value.as_str())).collect();
    for rule in file.steps.iter().filter(|rule| !own.contains(&rule.name.value.as_str())) {
        let does = match (rule.network, rule.alters) {
            (true, _) => "reach the network",
            (_, true) => "change sources",
            _ => continue,
        };
        let step = &rule.name.value;
        let message = format!("the plan of the chef `{chef}`, which another pod lends, lets `{step}` {does}");
        let hint = format!(
            "look at the chef, and register it here if you trust it: `pod chef add DIR`; or write `[step.{step}]` yourself"
        );
        return Err(Box::new(border::mistake(message).hint(hint)));
    }
    Ok(())
}
