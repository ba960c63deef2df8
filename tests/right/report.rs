//! A circle of three steps: pdflatex writes what bibtex and makeindex read, and reads what they write. Nobody says so, and nobody
//! gives an order: it is right on the first build, in no pass too many, and after each edit only what has to runs.

use crate::common::{Built, Place, Project};
use crate::pdf;

const SOURCE: &str = r"\documentclass{article}
\usepackage{makeidx}
\makeindex
\begin{document}
\tableofcontents
\newpage
\section{Finches}\index{finch}
Finches eat seeds~\cite{darwin}. For owls see page~\pageref{owls}.
\newpage
\section{Owls}\label{owls}\index{owl}
Owls eat mice~\cite{mouse}.
\bibliographystyle{plain}
\bibliography{report}
\printindex
\end{document}
";

const BIBLIOGRAPHY: &str = r"@book{darwin, author = {Charles Darwin}, title = {On Finches}, publisher = {Murray}, year = 1859}
@book{mouse, author = {Ann Other}, title = {On Mice}, publisher = {House}, year = 1901}
";

/// What a reader sees.
const TEXT: &str = "Contents 1 Finches 2 2 Owls 3 1 1 Finches Finches eat seeds [1]. For owls see page 3. 2 2 Owls Owls eat \
    mice [2]. References [1] Charles Darwin. On Finches . Murray, 1859. [2] Ann Other. On Mice . House, 1901. 3 Index \
    finch, 2 owl, 3 4";

/// What is declared of each step: nothing but the goal, what others need, all.
const DECLARED: [[&str; 3]; 3] = [
    ["'report.pdf'", "", ""],
    ["'report.pdf'", "'report.bbl'", "'report.ind'"],
    ["'report.pdf', 'report.aux', 'report.idx', 'report.toc'", "'report.bbl', 'report.blg'", "'report.ind'"],
];

/// The project file, its steps named so: pdflatex, bibtex, makeindex.
fn file([tex, bib, index]: [&str; 3], declared: [&str; 3]) -> String {
    let mut steps = [
        (tex, declared[0], "run = 'pdflatex -interaction=batchmode report'\nkeep = ['*.aux', '*.toc']\n"),
        (bib, declared[1], "run = 'bibtex -terse report'\nproject.'*.aux' = 'bibtex-aux'\n"),
        (index, declared[2], "run = 'makeindex -q report'\n"),
    ];
    // The order in the file is that of the names.
    steps.sort_unstable();
    let step = |(name, out, rest): (&str, &str, &str)| format!("[step.{name}]\n{rest}out = [{out}]\n");
    steps.map(step).concat()
}

const NAMES: [&str; 3] = ["tex", "bib", "index"];

fn report<'p>(place: &'p Place, file: &str) -> Project<'p> {
    let project = place.project("p", file);
    project.write("report.tex", format!("{}{SOURCE}", pdf::PLAIN));
    project.write("report.bib", BIBLIOGRAPHY);
    project
}

/// A report that has been built.
fn built<'p>(place: &'p Place) -> Project<'p> {
    let project = report(place, &file(NAMES, DECLARED[0]));
    project.builds(&["bib", "index", "tex"]);
    project
}

#[track_caller]
fn says(project: &Project<'_>) -> String {
    pdf::text(&std::fs::read(project.at("report.pdf")).unwrap())
}

fn passes(built: &Built) -> [usize; 3] {
    NAMES.map(|step| built.passes(step))
}

#[test]
fn it_is_right_at_once_whatever_its_steps_are_called_and_whatever_they_declare() {
    let orders = [
        ["a", "b", "c"],
        ["a", "c", "b"],
        ["b", "a", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["c", "b", "a"],
    ];
    for (number, names) in orders.into_iter().enumerate() {
        let place = Place::new();
        let file = file(names, DECLARED[number % 3]);
        let project = report(&place, &file);
        let first = project.builds(&["a", "b", "c"]);
        assert_eq!(says(&project), TEXT, "{file}\n{}", first.said());
        let passes = names.map(|name| first.passes(name));
        assert!(passes[0] <= 3, "{passes:?}\n{file}\n{}", first.said());
        place.assert_nothing_left();
        project.builds(&[]);
    }
}

#[test]
fn an_ordinary_user_gets_the_same() {
    let place = Place::ordinary();
    let project = built(&place);
    assert_eq!(says(&project), TEXT);
    project.builds(&[]);
}

#[test]
fn one_step_at_a_time_comes_to_the_same() {
    let place = Place::new();
    let project = report(&place, &file(NAMES, DECLARED[0]));
    project.build(&["-j1"]).ok();
    assert_eq!(says(&project), TEXT);
    project.builds(&[]);
}

#[test]
fn a_word_is_one_pass() {
    let place = Place::new();
    let project = built(&place);
    project.replace("report.tex", "Owls eat", "All owls eat");
    let edited = project.builds(&["tex"]);
    assert_eq!(passes(&edited), [1, 0, 0], "{}", edited.said());
    assert_eq!(says(&project), TEXT.replace("Owls eat", "All owls eat"));
    // Taken back, it goes on from the state of that edit.
    project.replace("report.tex", "All owls eat", "Owls eat");
    let undone = project.build(&[]).ok();
    assert!(
        undone.passes("tex") <= 1 && undone.passes("bib") + undone.passes("index") == 0,
        "{}",
        undone.said()
    );
    assert_eq!(says(&project), TEXT);
}

#[test]
fn pages_that_move_ask_bibtex_nothing() {
    let place = Place::new();
    let project = built(&place);
    project.replace("report.tex", "\\section{Owls}", "Terns.\\newpage\\section{Owls}");
    let edited = project.builds(&["index", "tex"]);
    assert_eq!(passes(&edited), [2, 0, 1], "{}", edited.said());
    assert!(says(&project).contains("For owls see page 4."), "{}", says(&project));
    assert!(says(&project).ends_with("Index finch, 2 owl, 4 5"), "{}", says(&project));
}

#[test]
fn an_entry_that_nobody_cites_is_no_pass_of_pdflatex() {
    let place = Place::new();
    let project = built(&place);
    project.append(
        "report.bib",
        "@book{unread, author = {No One}, title = {Unread}, publisher = {X}, year = 2000}\n",
    );
    let edited = project.builds(&["bib"]);
    assert_eq!(passes(&edited), [0, 1, 0], "{}", edited.said());
    assert_eq!(says(&project), TEXT);
}

#[test]
fn another_title_is_one_pass_and_another_entry_two() {
    let place = Place::new();
    let project = built(&place);
    project.replace("report.bib", "On Mice", "On Small Mice");
    let edited = project.builds(&["bib", "tex"]);
    assert_eq!(passes(&edited), [1, 1, 0], "{}", edited.said());
    assert_eq!(says(&project), TEXT.replace("On Mice", "On Small Mice"));

    // Cited first, listed first, so the numbers of the others change.
    project.append(
        "report.bib",
        "@book{ant, author = {Ad Aams}, title = {On Ants}, publisher = {H}, year = 1905}\n",
    );
    project.replace("report.tex", "Finches eat seeds", "Terns eat ants~\\cite{ant}. Finches eat seeds");
    let edited = project.builds(&["bib", "tex"]);
    assert!(edited.passes("tex") <= 3 && edited.passes("bib") <= 2, "{:?}", passes(&edited));
    assert!(says(&project).contains("Terns eat ants [1]. Finches eat seeds [2]."), "{}", says(&project));
    assert!(says(&project).contains("[1] Ad Aams. On Ants ."), "{}", says(&project));
}

#[test]
fn what_is_deleted_comes_back_without_a_pass() {
    let place = Place::new();
    let project = built(&place);
    let before = std::fs::read(project.at("report.pdf")).unwrap();
    project.remove("report.pdf");
    assert_eq!(project.builds(&[]).count("written"), 1);
    let files = project.files("");
    let sources = ["majordomo.toml", "report.tex", "report.bib"];
    files.iter().filter(|file| !sources.contains(&file.as_str())).for_each(|file| project.remove(file));
    project.builds(&[]);
    assert_eq!(std::fs::read(project.at("report.pdf")).unwrap(), before);
    assert_eq!(project.files(""), files);
}

#[test]
fn another_checkout_and_another_home_replay_the_chain() {
    let (place, other) = (Place::new(), Place::new());
    let project = built(&place);
    other.take_objects_of(&place);
    let far = report(&other, &file(NAMES, DECLARED[0]));
    far.builds(&[]);
    assert_eq!(says(&far), TEXT);
    far.replace("report.bib", "On Mice", "On Small Mice");
    assert_eq!(passes(&far.builds(&["bib", "tex"])), [1, 1, 0]);

    let near = place.project("near", &file(NAMES, DECLARED[0]));
    for source in ["report.tex", "report.bib"] {
        near.write(source, project.read(source));
    }
    near.builds(&[]);
    assert_eq!(says(&near), TEXT);
}

#[test]
fn a_cold_build_runs_all_and_comes_to_the_same() {
    let place = Place::new();
    let project = built(&place);
    project.replace("report.tex", "\\section{Owls}", "Terns.\\newpage\\section{Owls}");
    project.build(&[]).ok();
    let warm = std::fs::read(project.at("report.pdf")).unwrap();
    let cold = project.build(&["--cold"]).ok();
    assert_eq!(cold.ran(), ["bib", "index", "tex"]);
    assert!((2..=3).contains(&cold.passes("tex")), "{}", cold.said());
    assert!(std::fs::read(project.at("report.pdf")).unwrap() == warm, "warm and cold differ");
    project.builds(&[]);
}

#[test]
fn a_mistake_in_the_middle_is_named_and_mended() {
    let place = Place::new();
    let project = built(&place);
    project.replace("report.tex", "Owls eat", "\\owls{} eat");
    let broken = project.build(&[]).failed();
    assert_eq!((broken.ended_as("failed"), broken.failure("tex")), (vec!["tex"], "exit code 1"));
    assert_eq!(says(&project), TEXT);
    project.replace("report.tex", "\\owls{} eat", "Owls eat");
    assert!(project.build(&[]).ok().passes("tex") <= 1);
    assert_eq!(says(&project), TEXT);
}

#[test]
fn a_mistake_on_the_first_build_is_named_and_mended() {
    let place = Place::new();
    let project = report(&place, &file(NAMES, DECLARED[0]));
    project.remove("report.bib");
    let broken = project.build(&[]).failed();
    assert!(broken.ended_as("failed").contains(&"bib"), "{}", broken.said());
    assert!(!project.has("report.pdf"));
    project.write("report.bib", BIBLIOGRAPHY);
    project.build(&[]).ok();
    assert_eq!(says(&project), TEXT);
    project.builds(&[]);
}
