//! A plan that a chef made, and what the project's own file says beside it.

use super::{ProjectFile, ProjectFileError, read};

impl ProjectFile {
    /// The plan together with the project's own file. Name, targets, limits, pools and tool roots of the file count more; its steps stand
    /// beside those of the plan, and in place of those that have their names. Places of errors lead into the text that
    /// they come from.
    ///
    /// # Errors
    /// The file cannot be read, which it could before.
    pub fn beside(mut self, own: &Self) -> Result<Self, ProjectFileError> {
        // Read once more behind as much white space as the plan is long, its places lie behind those of the plan.
        let own = read::project_file(own.text.behind(self.text.as_str().len()), own.name.clone())?;
        self.text = self.text.before(own.text);
        self.name = own.name;
        self.limits = own.limits.or(self.limits);
        self.uses = own.uses;
        self.tool_roots.extend(own.tool_roots);
        self.pools.retain(|(name, _)| own.pools.iter().all(|(other, _)| other.value != name.value));
        self.pools.extend(own.pools);
        if !own.targets.is_empty() {
            self.targets = own.targets;
        } else if !self.targets.is_empty() {
            // A bare build wants what the chef says, and all that the user adds.
            self.targets.extend(own.steps.iter().map(|step| step.name.clone()));
        }
        for step in own.steps {
            match self.steps.iter_mut().find(|planned| planned.name.value == step.name.value) {
                Some(planned) => *planned = step,
                None => self.steps.push(step),
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(file: &str, text: &str) -> ProjectFile {
        ProjectFile::parse(Path::new(file), text.as_bytes()).unwrap()
    }

    const PLAN: &str = "[step.tex]\nrun = 'pdflatex'\n[step.bib]\nrun = 'bibtex'\n";

    fn values(all: &[super::super::Spot<String>]) -> Vec<&str> {
        all.iter().map(|one| one.value.as_str()).collect()
    }

    #[test]
    fn steps_stand_beside_those_of_the_plan_or_in_their_places() {
        let own = parse(
            "p/majordomo.toml",
            "[project]\nchef = 'latex'\nlimits.processes = 7\n[step.bib]\nrun = 'mine'\n[step.figure]\nrun = 'f'\n",
        );
        let both = parse("plan", PLAN).beside(&own).unwrap();
        let names: Vec<&str> = both.steps.iter().map(|step| step.name.value.as_str()).collect();
        assert_eq!((names, both.name.as_str()), (vec!["tex", "bib", "figure"], "p"));
        assert!(both.chefs.is_empty() && both.targets.is_empty() && both.limits.processes == Some(7));
        let place = |step: usize| both.text.locate(both.steps[step].name.at.clone(), "x").headline();
        assert_eq!(place(0), "plan:1:7: x");
        assert_eq!(place(1), "p/majordomo.toml:4:7: x");
        assert_eq!(place(2), "p/majordomo.toml:6:7: x");
    }

    #[test]
    fn targets_of_the_file_count_more_and_its_steps_are_wanted() {
        let plan = format!("[project]\ntargets = 'tex'\n{PLAN}");
        let with = |own: &str| {
            let own = parse("p/majordomo.toml", &format!("[project]\nchef = 'latex'\n{own}"));
            parse("plan", &plan).beside(&own).unwrap()
        };
        assert_eq!(values(&with("").targets), ["tex"]);
        assert_eq!(values(&with("[step.figure]\nrun = 'f'\n").targets), ["tex", "figure"]);
        let said = with("targets = 'bib'\n[step.figure]\nrun = 'f'\n");
        assert_eq!(values(&said.targets), ["bib"]);
        assert_eq!(said.text.locate(said.targets[0].at.clone(), "x").line, 3);
    }
}
