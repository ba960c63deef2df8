//! A chef's plan, as the project file that says the same.

use std::path::Path;

use protocol::chef::Planned;

use super::Fallible;
use crate::majordomo::border;
use crate::majordomo::project_file::{MEND_THE_CHEF, ProjectFile, Variable};

/// What helps if a chef does not.
pub(super) const WITHOUT: &str = "a `majordomo.toml` with steps builds the project without a chef";

/// What the ids of steps that ask chefs begin with, before the `:`.
pub(super) const ASKING: &str = "chef";

/// The most steps that a plan says one by one; one with `each` may stand for more.
const MAX_PLANNED: usize = 1 << 17;

/// The longest plan, in bytes of a project file: that of 50 000 edges of a ninja file takes a quarter of it.
const MAX_PLAN: usize = 64 << 20;

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
    let broken = |why: String| {
        let mut failure = border::mistake(format!("the plan of the chef `{chef}` is none"));
        failure.causes.push(why);
        Box::new(failure.hint(MEND_THE_CHEF))
    };
    let steps =
        planned.file.get("step").and_then(serde_json::Value::as_object).map_or(0, serde_json::Map::len);
    if steps > MAX_PLANNED {
        return Err(broken(format!("it has {steps} steps, and {MAX_PLANNED} is the most")));
    }
    let text = text(planned).map_err(|error| broken(error.to_string()))?;
    if text.len() > MAX_PLAN {
        return Err(broken(format!("as a project file it has more than {} MiB", MAX_PLAN >> 20)));
    }
    let said_by = format!("the plan of the chef `{chef}`");
    let mut file = ProjectFile::parse_said(&said_by, project, &text)
        .map_err(|error| Box::new(border::project_file(&error)))?;
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
    let says_asking = |file: &ProjectFile| file.steps.iter().any(|step| step.name.value == ASKING);
    if says_asking(&file) {
        return Err(broken(format!(
            "it has a step `{ASKING}`, and the steps that ask chefs are called so, too"
        )));
    }
    if let Some(own) = own {
        file = file.beside(own).map_err(|error| Box::new(border::project_file(&error)))?;
    }
    if says_asking(&file) {
        let message = format!(
            "a project that a chef plans has a step `{ASKING}`, and the steps that ask chefs are called so, too"
        );
        return Err(Box::new(border::mistake(message).hint("give the step another name")));
    }
    Ok(file)
}

/// Holds a plan to what the chef of another pod may plan by itself: it knows no variable of whoever builds, chooses neither the pod nor the image that its
/// steps run on, reaches no network and changes no sources, unless the project's own file has that step, too.
///
/// # Errors
/// A step that may not be.
pub fn of_another_pod(chef: &str, file: &ProjectFile, own: Option<&ProjectFile>) -> Fallible<()> {
    let is_own_image = own.is_some_and(|own| own.image == file.image);
    let own: Vec<&str> =
        own.into_iter().flat_map(|own| own.steps.iter().map(|rule| rule.name.value.as_str())).collect();
    for rule in file.steps.iter().filter(|rule| !own.contains(&rule.name.value.as_str())) {
        let passed = rule.env.iter().find_map(|variable| match variable {
            Variable::Pass(name) => Some(&name.value),
            Variable::Set(..) => None,
        });
        let does = match passed {
            Some(variable) => format!("have your variable `{variable}`"),
            None if rule.network => "reach the network".to_owned(),
            None if rule.alters => "change sources".to_owned(),
            None if !rule.on.is_empty() => "run on pods of its choice".to_owned(),
            None if rule.image.is_some() || (file.image.is_some() && !is_own_image) => {
                "run in an image of its choice".to_owned()
            }
            None => continue,
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
