//! `examples/report` as its README tells it: no project file; the chef plans the report, and a step that makes its figure.

use crate::common::{Place, Project};
use crate::pdf;

/// A copy whose text can be found in the PDF.
fn example(place: &Place) -> Project<'_> {
    let project = place.example("report");
    // What builds of the checkout's own left beside the sources.
    let is_left = |path: &String| !SOURCES.iter().any(|source| path.starts_with(source));
    project.files("").iter().filter(|path| is_left(path)).for_each(|path| project.remove(path));
    for document in ["passes.tex", "report.tex"] {
        project.replace(document, "\\documentclass", &format!("{}\\documentclass", pdf::PLAIN));
    }
    project
}

const SOURCES: [&str; 6] = ["README.md", "chapters/", "passes.csv", "passes.tex", "report.bib", "report.tex"];

const STEPS: [&str; 4] = ["bib-report", "index-report", "tex-passes", "tex-report"];

#[track_caller]
fn says(project: &Project<'_>) -> String {
    pdf::text(&std::fs::read(project.at("report.pdf")).unwrap())
}

#[test]
fn the_report_settles_and_each_edit_costs_what_its_readme_says() {
    let place = Place::new();
    let project = example(&place);
    assert!(!project.has("majordomo.toml"));
    let first = project.build(&[]).ok();
    assert_eq!(first.ran_without_chefs(), STEPS);
    assert!(first.passes("tex-report") <= 3, "{}", first.said());
    let text = says(&project);
    let contents = "1 Why it goes round 3 2 Who takes part 4 3 When it has settled 5";
    assert!(text.contains(contents) && text.contains("3.1 Passes of L A T E X after an edit"), "{text}");
    assert!(text.contains("So T E X [1] writes") && text.contains("Chapter 3 on page 5 says"), "{text}");
    assert!(text.contains("Figure 3.1 is drawn") && text.contains("the first build 3"), "{text}");
    assert!(text.contains("[1] Donald E. Knuth. The T E Xbook . Addison-Wesley, 1984. [2]"), "{text}");
    let index = "Index bibtex, 4 contents, 3 fixpoint, 5 index, 4 makeindex, 4 page number, 3 7";
    assert!(text.ends_with(index), "{text}");
    let log = project.read("report.log");
    assert!(!log.contains("LaTeX Warning") && !log.contains("Overfull"), "{log}");
    project.builds(&[]);

    project.replace("chapters/why.tex", "has learnt", "has seen");
    let word = project.build(&[]).ok();
    assert_eq!((word.ran_without_chefs(), word.passes("tex-report")), (vec!["tex-report"], 1));
    project.replace("passes.csv", "build,3", "build,4");
    let drawn = project.build(&[]).ok();
    assert_eq!(
        (drawn.ran_without_chefs(), drawn.passes("tex-report")),
        (vec!["tex-passes", "tex-report"], 1)
    );
    assert!(says(&project).contains("the first build 4"));
    project.replace("report.bib", "Nobody Cites", "Few Cite");
    project.builds(&["bib-report"]);
    project.replace("chapters/who.tex", "\\cite{lamport}", "\\cite{lamport,unread}");
    project.build(&[]).ok();
    let text = says(&project);
    assert!(
        text.contains("L A T E X [2, 3] notes") && text.contains("[3] Nobody. A Book that Few Cite ."),
        "{text}"
    );

    project.replace("chapters/why.tex", "A page number", "\\newpage A page number");
    project.build(&[]).ok();
    let text = says(&project);
    assert!(text.contains("2 Who takes part 5 3 When it has settled 6"), "{text}");
    assert!(text.contains("Chapter 3 on page 6 says"), "{text}");
    assert!(
        text.ends_with("bibtex, 5 contents, 4 fixpoint, 6 index, 5 makeindex, 5 page number, 4 8"),
        "{text}"
    );

    project.remove("report.pdf");
    assert_eq!(project.builds(&[]).count("written"), 1);

    project.append("chapters/who.tex", "\\nosuchcommand\n");
    let wrong = project.build(&[]).failed();
    assert!(wrong.said().contains("chapters/who.tex:16: Undefined control sequence"), "{}", wrong.said());
    project.replace("chapters/who.tex", "\\nosuchcommand\n", "");
    project.build(&[]).ok();
    // Without the figure nobody pretends that it is there.
    project.remove("passes.tex");
    let missing = project.build(&[]).failed();
    assert!(missing.said().contains("File `passes' not found"), "{}", missing.said());
}
