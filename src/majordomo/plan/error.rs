//! What can be wrong with a plan, and what to do about it.

use protocol::glob::BadGlob;
use protocol::path::BadPath;
use protocol::{RelPath, StepId};

use crate::majordomo::project_file::Located;

use super::order::Circle;
use super::promise::{MAX_NAME, MAX_PATH};
use super::template::Placeholder;
use super::{MAX_STEPS, MAX_WORD};

/// Why there is no plan, or none for these targets. Always the user's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The project file asks for something that cannot be planned.
    #[error(transparent)]
    Wrong(#[from] Box<Located<Problem>>),
    /// A target cannot be resolved.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// What is wrong at a place of the project file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No pattern.
    #[error("`{pattern}` in `{key}` of `{rule}` is no pattern: {why}")]
    Pattern {
        /// The rule.
        rule: String,
        /// The key.
        key: &'static str,
        /// What was written (placeholders put in).
        pattern: String,
        /// Why not.
        why: BadGlob,
    },
    /// A pool that is not in `[pools]`.
    #[error("`{step}` is of a pool `{pool}`, and `[pools]` has {}", listed(.known))]
    NoPool {
        /// The rule.
        step: String,
        /// The pool.
        pool: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A pattern without any match.
    #[error("`{pattern}` in `{key}` of `{step}` matches no source and no declared output")]
    NoMatch {
        /// The rule, or the step if the pattern has placeholders.
        step: String,
        /// The key.
        key: &'static str,
        /// The pattern (placeholders put in).
        pattern: String,
        /// What is there instead.
        hints: Vec<String>,
    },
    /// `each` over what is in a folder that a step makes.
    #[error("`each` of `{rule}` would need the names in `{tree}/`, which are not known before `{maker}` ran")]
    EachInTree {
        /// The rule.
        rule: String,
        /// The folder.
        tree: RelPath,
        /// The step that promises it.
        maker: StepId,
    },
    /// `{in}` over what is in a folder that a step makes.
    #[error(
        "`{{in}}` in `{rule}` would need the names in `{tree}/`, which are not known before `{maker}` ran"
    )]
    InputsInTree {
        /// The rule.
        rule: String,
        /// The folder.
        tree: RelPath,
        /// The step that promises it.
        maker: StepId,
    },
    /// Rules that match each other's outputs without end.
    #[error("rules feed each other in a circle: {}; it came to `{path}`", arrows(.rules))]
    RuleCircle {
        /// The rules, the first also the last.
        rules: Vec<String>,
        /// The output that the first would have matched again.
        path: RelPath,
    },
    /// More than [`MAX_STEPS`].
    #[error("the plan has more than {MAX_STEPS} steps")]
    TooManySteps,
    /// A placeholder where it stands for nothing.
    #[error("`{placeholder}` in `{key}` of `{rule}` stands for nothing: {why}")]
    Misplaced {
        /// The rule.
        rule: String,
        /// The key.
        key: &'static str,
        /// Which.
        placeholder: Placeholder,
        /// Why.
        why: &'static str,
    },
    /// Braces in a path that are no placeholder.
    #[error("`{written}` in `{key}` is no placeholder{}", .nearest.as_ref().map_or(String::new(), |near| format!("; the nearest is `{near}`")))]
    NoPlaceholder {
        /// The key.
        key: &'static str,
        /// What was written.
        written: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// Several paths inside of one word.
    #[error("`{placeholder}` stands for {count} paths, and this word has room for one")]
    SeveralInOneWord {
        /// Which.
        placeholder: Placeholder,
        /// How many.
        count: usize,
    },
    /// A path with wildcards.
    #[error("`{key}` takes paths, and `{text}` is a pattern")]
    PathIsPattern {
        /// The key.
        key: &'static str,
        /// The part with the wildcard.
        text: String,
    },
    /// A path with a backslash that means nothing.
    #[error("`{text}` has a lone backslash")]
    LoneBackslash {
        /// What was written.
        text: String,
    },
    /// A path that is none inside of the project.
    #[error("{why}, and `{key}` names something inside the project")]
    Path {
        /// The key.
        key: &'static str,
        /// Why not.
        why: BadPath,
    },
    /// A path that no file can have.
    #[error(
        "`{text}` in `{key}` is longer than a path can be: {MAX_PATH} bytes, and {MAX_NAME} for a name in it"
    )]
    LongPath {
        /// The key.
        key: &'static str,
        /// What was written.
        text: String,
    },
    /// An output that is the whole project.
    #[error("`{step}` cannot promise the project's own folder")]
    OutIsRoot {
        /// The step.
        step: StepId,
    },
    /// An output that no step may write.
    #[error("`{step}` promises `{path}`, and no step may write `{part}`")]
    OutIsReserved {
        /// The step.
        step: StepId,
        /// The output.
        path: RelPath,
        /// What of it: see [`RelPath::reserved`].
        part: &'static str,
    },
    /// An output that is a source, or has one above or below it.
    #[error("`{step}` promises `{path}`, {how}: a step never changes a source")]
    OutIsSource {
        /// The step.
        step: StepId,
        /// The output.
        path: RelPath,
        /// The source.
        source_path: RelPath,
        /// How they meet: a fragment.
        how: String,
    },
    /// Two outputs that exclude each other, or two unordered steps that make the same.
    #[error("{} {how}", both(.first, .second))]
    Clash {
        /// One step.
        first: StepId,
        /// The other, at whose `out` this is said.
        second: StepId,
        /// How they meet: a fragment.
        how: String,
        /// Whether an order would help.
        unordered: bool,
    },
    /// `after` names nothing.
    #[error("`after` of `{rule}` names `{name}`, and there is no such step{}", .nearest.as_ref().map_or(String::new(), |near| format!("; the nearest is `{near}`")))]
    UnknownStep {
        /// The rule.
        rule: String,
        /// What was written.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// `after` names the rule itself.
    #[error("`{rule}` cannot be after itself")]
    AfterItself {
        /// The rule.
        rule: String,
    },
    /// Steps that wait for each other.
    #[error("steps wait for each other: {0}")]
    Circle(Circle),
    /// A word that is longer than the system takes.
    #[error("a word of `{step}` has {len} bytes, and the system takes at most {MAX_WORD}")]
    LongWord {
        /// The step.
        step: StepId,
        /// Its length.
        len: usize,
    },
}

/// Why a target cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No pattern.
    #[error("target `{target}` is no pattern: {why}")]
    Pattern {
        /// What was asked for.
        target: String,
        /// Why not.
        why: BadGlob,
    },
    /// No path inside of the project.
    #[error("target {why}, and targets are inside the project")]
    Path {
        /// Why not.
        why: BadPath,
    },
    /// A pattern without any match.
    #[error("target `{target}` matches no declared output")]
    NoMatch {
        /// What was asked for.
        target: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A step id of a rule that has no such step.
    #[error("there is no step `{target}`")]
    NoStep {
        /// What was asked for.
        target: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
}

impl PlanError {
    /// What to do next, a sentence each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Wrong(located) => located.what.hints().into_iter().chain(located.mend()).collect(),
            Self::Target(error) => error.hints(),
        }
    }
}

impl TargetError {
    /// What to do next, a sentence each.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Pattern { .. } => vec!["quote a pattern for your shell: `'obj/*.o'`".into()],
            Self::Path { .. } => {
                vec!["name it from the project's folder; `-p FOLDER` names another project".into()]
            }
            Self::NoMatch { nearest: Some(near), .. } | Self::NoStep { nearest: Some(near), .. } => {
                vec![format!("did you mean `{near}`?")]
            }
            Self::NoMatch { .. } => {
                vec![
                    "patterns choose among declared outputs; give `out` to the step, or name the file".into(),
                ]
            }
            Self::NoStep { .. } => vec!["`majordomo graph` shows all steps".into()],
        }
    }
}

impl Problem {
    /// What to do next, a sentence each.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoPool { .. } => "`[pools]` says how many of them may run at once: `NAME = 2`",
            Self::NoMatch { hints, .. } => return hints.clone(),
            Self::Pattern { why: BadGlob::Absolute | BadGlob::Part, .. } => {
                "name it from the project's folder; tools outside of it are seen anyway"
            }
            Self::Pattern { why: BadGlob::Choice(_), .. } => {
                "placeholders are `{in}`, `{stem}` and `{dir}`, not in `each`; a plain brace is `\\{`"
            }
            Self::Pattern { .. } => return vec![],
            Self::EachInTree { .. } => {
                "declare the files that it makes instead of the whole folder, or loop in one `run`"
            }
            Self::InputsInTree { tree, .. } => {
                return vec![format!(
                    "use `{tree}/` for the folder itself, or let the shell match: `$(ls {tree}/…)`"
                )];
            }
            Self::RuleCircle { .. } => "narrow one `each`, or write the outputs where no `each` looks",
            Self::TooManySteps => "narrow `each`, or let one step do the work of many",
            Self::Misplaced { why, .. } if why.contains("each") => {
                "give the step `each`; inside of a shell text, `{''in}` is plain text"
            }
            Self::Misplaced { .. } => {
                "declare what the step makes in `out`, or write the text in another way"
            }
            Self::NoPlaceholder { .. } => {
                "the placeholders are `{in}`, `{out}`, `{stem}` and `{dir}`; a plain brace is `\\x7b`"
            }
            Self::SeveralInOneWord { .. } => "let the word be nothing else, or use a shell text",
            Self::PathIsPattern { .. } => {
                "name each path; a final `/` stands for a whole tree, and what is not declared is found out anyway \
                 (a plain `*` is `\\x2a`)"
            }
            Self::LoneBackslash { .. } => {
                "write `\\\\` for a backslash, and `\\xNN` for a byte (doubled in \"…\")"
            }
            Self::Path { .. } => "name it from the project's folder",
            Self::LongPath { .. } => "give it a shorter name",
            Self::OutIsRoot { .. } => "name the files or folders that it makes",
            Self::OutIsReserved { .. } => "write to another folder",
            Self::OutIsSource { .. } => {
                "write to another path; if an earlier build without the majordomo left it there, delete it"
            }
            Self::Clash { unordered: true, first, second, .. } if first.rule() == second.rule() => {
                "tell the outputs of `each` apart by `{stem}` and `{dir}`"
            }
            Self::Clash { unordered: true, first, second, .. } => {
                return vec![format!(
                    "let only one of them make it, or give the later one `after`, as in `after = \"{first}\"` of `{}`",
                    second.rule()
                )];
            }
            Self::Clash { .. } => "rename one of them",
            Self::UnknownStep { .. } => {
                "`after` takes names of rules (`compile`) and ids of steps (`compile:src/a.c`)"
            }
            Self::AfterItself { .. } => "take it out; the steps of one rule have no order",
            Self::Circle(_) => {
                "take one of these arrows out; a step that needs several passes over its own outputs takes `keep`"
            }
            Self::LongWord { .. } => {
                "use a list of words, in which `{in}` becomes a word for each path, or let the shell match"
            }
        };
        vec![hint.to_owned()]
    }
}

fn both(first: &StepId, second: &StepId) -> String {
    if first == second { format!("`{first}` would") } else { format!("`{first}` and `{second}`") }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => format!("`{}`", names.join("`, `")),
    }
}

fn arrows(rules: &[String]) -> String {
    rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(" → ")
}
