//! `examples/report` as its README tells it.

use std::path::Path;

use crate::common::{Place, Project};
use crate::pdf;

/// Its sources, and not what builds of the checkout's own left beside them.
const SOURCES: [&str; 3] = ["majordomo.toml", "report.tex", "report.bib"];

/// A copy whose text can be found in the PDF.
fn example<'p>(place: &'p Place) -> Project<'p> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/report");
    let read = |name: &str| std::fs::read_to_string(from.join(name)).unwrap();
    let project = place.project("report", &read(SOURCES[0]));
    project.write("report.tex", format!("{}{}", pdf::PLAIN, read("report.tex")));
    project.write("report.bib", read("report.bib"));
    project
}

#[track_caller]
fn says(project: &Project<'_>) -> String {
    pdf::text(&std::fs::read(project.at("report.pdf")).unwrap())
}

#[test]
fn the_report_settles_and_each_edit_costs_what_its_readme_says() {
    let place = Place::new();
    let project = example(&place);
    let first = project.builds(&["bib", "index", "tex"]);
    assert!(first.passes("tex") <= 3, "{}", first.said());
    let text = says(&project);
    assert!(
        text.contains("Contents 1 Why it goes round 1 2 Who takes part 1 3 When it has settled 2 1 Why"),
        "{text}"
    );
    assert!(text.contains("So T E X [1] writes") && text.contains("Section 3 on page 2 says"), "{text}");
    assert!(
        text.contains("References [1] Donald E. Knuth. The T E Xbook . Addison-Wesley, 1984. [2]"),
        "{text}"
    );
    let index = "Index bibtex, 1 contents, 1 fixpoint, 2 index, 1 makeindex, 1 page number, 1 3";
    assert!(text.ends_with(index), "{text}");
    let log = project.read("report.log");
    assert!(!log.contains("LaTeX Warning") && !log.contains("Overfull"), "{log}");
    project.builds(&[]);

    project.replace("report.tex", "has learnt", "has seen");
    assert_eq!(project.builds(&["tex"]).passes("tex"), 1);
    project.replace("report.bib", "Nobody Cites", "Few Cite");
    project.builds(&["bib"]);
    project.replace("report.tex", "\\cite{lamport}", "\\cite{lamport,unread}");
    project.build(&[]).ok();
    let text = says(&project);
    assert!(
        text.contains("L A T E X [2, 3] notes") && text.contains("[3] Nobody. A Book that Few Cite ."),
        "{text}"
    );

    project.replace("report.tex", "\\section{Who", "\\newpage\\section{Who");
    project.build(&[]).ok();
    let text = says(&project);
    assert!(text.contains("2 Who takes part 2 3 When it has settled 3 1 Why"), "{text}");
    assert!(text.contains("Section 3 on page 3 says"), "{text}");
    assert!(
        text.ends_with("bibtex, 2 contents, 1 fixpoint, 3 index, 2 makeindex, 2 page number, 1 4"),
        "{text}"
    );

    project.remove("report.pdf");
    assert_eq!(project.builds(&[]).count("written"), 1);
}
