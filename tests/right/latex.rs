//! LaTeX in a single step that sees its own earlier outputs: it settles on the first build, in no pass too many; what
//! cannot settle is named, and fails again.

use crate::common::{Place, Project};
use crate::pdf;

/// T1. The document reads a file if it is there, and writes it later.
///
/// latexmk 4.79 with the same document: one pass, "The number is not known.", exit 0; the next call says "up-to-date", exit 0.
/// TeX's recorder lists the files that were opened, not those that were looked for in vain.
const IF_IT_EXISTS: &str = r"\documentclass{article}
\newwrite\out
\begin{document}
\IfFileExists{paper.num}{There are \input{paper.num} words.}{The number is not known.}
\immediate\openout\out=paper.num
\immediate\write\out{seventeen}
\immediate\closeout\out
\end{document}
";

/// T2. A heading that starts a new page if it stands on the first one, and does not if it stands on the second.
///
/// latexmk 4.79 with the same document: five passes, exit 12; the next call says "up-to-date", exit 0.
const CHASING: &str = r"\documentclass{article}
\makeatletter
\def\pageof#1{\expandafter\expandafter\expandafter\@secondoftwo\csname r@#1\endcsname}
\begin{document}
Before.
\@ifundefined{r@here}{}{\ifnum\pageof{here}=1 \newpage\fi}
\section{Here}\label{here}
\end{document}
";

/// Each pass counts on from where the one before ended.
const COUNTING: &str = r"\documentclass{article}
\newwrite\out
\newcount\turn
\begin{document}
\InputIfFileExists{paper.num}{}{}
Turn \number\turn.
\advance\turn by 1
\immediate\openout\out=paper.num
\immediate\write\out{\turn=\number\turn}
\immediate\closeout\out
\end{document}
";

const STEP: &str = r#"
[step.paper]
run = "pdflatex -interaction=batchmode paper"
out = "paper.pdf"
keep = ["*.aux", "*.toc", "*.num"]
"#;

fn paper<'p>(place: &'p Place, source: &str) -> Project<'p> {
    let project = place.project("p", STEP);
    project.write("paper.tex", format!("{}{source}", pdf::PLAIN));
    project
}

#[track_caller]
fn says(project: &Project<'_>) -> String {
    pdf::text(&std::fs::read(project.at("paper.pdf")).unwrap())
}

#[test]
fn a_file_that_is_read_if_it_exists_and_written_later() {
    let place = Place::new();
    let project = paper(&place, IF_IT_EXISTS);
    let first = project.builds(&["paper"]);
    assert_eq!(says(&project), "There are seventeen words. 1");
    // The second pass reads what the first one wrote, and leaves it as it was: a third would be one too many.
    assert_eq!(first.passes("paper"), 2, "{}", first.said());
    project.builds(&[]);

    project.replace("paper.tex", "seventeen", "eighteen");
    let edited = project.builds(&["paper"]);
    assert_eq!((says(&project).as_str(), edited.passes("paper")), ("There are eighteen words. 1", 2));
    project.replace("paper.tex", " words", " lines");
    let edited = project.builds(&["paper"]);
    assert_eq!((says(&project).as_str(), edited.passes("paper")), ("There are eighteen lines. 1", 1));
}

#[test]
fn an_ordinary_user_gets_the_same() {
    let place = Place::ordinary();
    let project = paper(&place, IF_IT_EXISTS);
    assert_eq!(project.builds(&["paper"]).passes("paper"), 2);
    assert_eq!(says(&project), "There are seventeen words. 1");
    project.builds(&[]);
}

#[test]
fn a_deleted_pdf_comes_back_without_a_pass() {
    let place = Place::new();
    let project = paper(&place, IF_IT_EXISTS);
    project.builds(&["paper"]);
    let before = std::fs::read(project.at("paper.pdf")).unwrap();
    for file in project.files("").iter().filter(|file| file.starts_with("paper.") && *file != "paper.tex") {
        project.remove(file);
    }
    project.builds(&[]);
    assert_eq!(std::fs::read(project.at("paper.pdf")).unwrap(), before);
    assert_eq!(project.read("paper.num"), "seventeen\n");
}

#[test]
fn another_home_that_has_the_objects_replays_the_passes() {
    let (place, other) = (Place::new(), Place::new());
    let project = paper(&place, IF_IT_EXISTS);
    project.builds(&["paper"]);
    other.take_objects_of(&place);
    let elsewhere = paper(&other, IF_IT_EXISTS);
    elsewhere.builds(&[]);
    assert_eq!(says(&elsewhere), "There are seventeen words. 1");
    // It goes on from there as if it had run them itself.
    elsewhere.replace("paper.tex", " words", " lines");
    assert_eq!(elsewhere.builds(&["paper"]).passes("paper"), 1);
}

#[test]
fn a_cold_build_comes_to_the_same_as_a_warm_one() {
    let place = Place::new();
    let project = paper(&place, IF_IT_EXISTS);
    project.builds(&["paper"]);
    project.replace("paper.tex", "seventeen", "nineteen");
    project.builds(&["paper"]);
    let warm = std::fs::read(project.at("paper.pdf")).unwrap();
    let cold = project.build(&["--cold"]).ok();
    assert_eq!((cold.ran(), cold.passes("paper")), (vec!["paper"], 2));
    assert_eq!(std::fs::read(project.at("paper.pdf")).unwrap(), warm);
    project.builds(&[]);
}

#[test]
fn references_and_contents_settle() {
    let place = Place::new();
    let source = r"\documentclass{article}
\begin{document}
\tableofcontents
\newpage
\section{Finches}\label{finches}
The owls are in section~\ref{owls} on page~\pageref{owls}.
\newpage
\section{Owls}\label{owls}
The finches are on page~\pageref{finches}.
\end{document}
";
    let project = paper(&place, source);
    let first = project.builds(&["paper"]);
    assert!(first.passes("paper") <= 3, "{}", first.said());
    insta::assert_snapshot!(
        says(&project),
        @"Contents 1 Finches 2 2 Owls 3 1 1 Finches The owls are in section 2 on page 3. 2 2 Owls The finches are on page 2. 3"
    );
    // The text changes, what is referred to does not.
    project.replace("paper.tex", "The finches are", "All finches are");
    assert_eq!(project.builds(&["paper"]).passes("paper"), 1);
    // Everything behind it moves.
    project.replace("paper.tex", "\\tableofcontents\n", "\\tableofcontents\n\\newpage More.\n");
    let moved = project.builds(&["paper"]);
    assert!(says(&project).contains("in section 2 on page 4."), "{}", says(&project));
    assert!(moved.passes("paper") <= 3, "{}", moved.said());
    // What was said before is known still.
    project.replace("paper.tex", "\\newpage More.\n", "");
    project.build(&[]).ok();
    assert!(says(&project).contains("in section 2 on page 3."), "{}", says(&project));
}

#[test]
fn what_oscillates_is_named_and_fails_in_each_build() {
    let place = Place::new();
    let project = paper(&place, CHASING);
    let first = project.build(&[]).failed();
    // Pass 1 leaves page 1, pass 2 page 2, pass 3 page 1 again.
    assert_eq!(first.passes("paper"), 3, "{}", first.said());
    let why = first.failure("paper").to_owned();
    assert!(why.contains("oscillates") && why.contains("`paper.aux`"), "{why}");
    // Its period, and what alternates, to be read.
    assert!(why.contains("period is 2"), "{why}");
    let lines: Vec<&str> = why.lines().map(str::trim_start).collect();
    let has = |sign: char| lines.iter().any(|line| line.starts_with(sign) && line.contains("newlabel"));
    assert!(has('-') && has('+'), "{why}");
    assert!(!project.has("paper.pdf") && !project.has("paper.aux"), "nothing of it is handed over");

    // What was seen once is known: no pass has to run for the same answer, and it is no other answer.
    for _ in 0..2 {
        let again = project.build(&[]).failed();
        assert_eq!((again.passes("paper"), again.failure("paper")), (0, why.as_str()));
    }
    // Cured, it settles.
    project.replace("paper.tex", "\\newpage\\fi", "\\fi");
    project.builds(&["paper"]);
    assert!(says(&project).ends_with("1 Here 1"), "{}", says(&project));
}

#[test]
fn what_never_settles_is_ended_after_eight_passes() {
    let place = Place::new();
    let project = paper(&place, COUNTING);
    let first = project.build(&[]).failed();
    assert_eq!(first.passes("paper"), 8, "{}", first.said());
    let why = first.failure("paper").to_owned();
    assert!(why.contains("did not settle in 8 passes") && why.contains("paper.num"), "{why}");
    let again = project.build(&[]).failed();
    assert_eq!((again.passes("paper"), again.failure("paper")), (0, why.as_str()));
    // It settles at five: turns 0 to 5.
    project.replace("paper.tex", "\\advance\\turn by 1\n", "\\ifnum\\turn<5 \\advance\\turn by 1 \\fi\n");
    assert_eq!(project.builds(&["paper"]).passes("paper"), 6);
    assert_eq!(says(&project), "Turn 5. 1");
}
