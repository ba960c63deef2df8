//! Projections and normalisers over what real tools write: the `.aux` of LaTeX for BibTeX, the PDF of pdfTeX.

use crate::common::{Place, Project};
use crate::pdf;

const CITING: &str = r"\documentclass{article}
\begin{document}
\section{Finches}
Finches eat seeds~\cite{darwin}.
\section{Owls}\label{owls}
See page~\pageref{owls}.
\bibliographystyle{plain}
\bibliography{all}
\end{document}
";

fn citing<'p>(place: &'p Place, bib: &str) -> Project<'p> {
    let project = place.project(
        "p",
        &format!(
            "[step.tex]\nrun = 'pdflatex -interaction=batchmode report'\nkeep = ['*.aux']\nout = 'report.pdf'\n\
             [step.bib]\nrun = 'bibtex -terse report'\n{bib}"
        ),
    );
    project.write("report.tex", format!("{}{CITING}", pdf::PLAIN));
    project.write(
        "all.bib",
        "@book{darwin, author = {Charles Darwin}, title = {On Finches}, publisher = {Murray}, year = 1859}\n\
         @book{mouse, author = {Ann Other}, title = {On Mice}, publisher = {House}, year = 1901}\n",
    );
    project.builds(&["bib", "tex"]);
    project
}

#[track_caller]
fn insert_a_page(project: &Project<'_>) {
    project.replace("report.tex", "\\section{Owls}", "\\newpage\n\\section{Owls}");
}

#[test]
fn bibtex_runs_for_citations_and_not_for_page_numbers() {
    let place = Place::new();
    let project = citing(&place, "project.'*.aux' = 'bibtex-aux'\n");
    insert_a_page(&project);
    project.builds(&["tex"]);
    let text = pdf::text(&std::fs::read(project.at("report.pdf")).unwrap());
    assert!(text.contains("See page 2."), "{text}");
    project.replace("report.tex", "See page", "Owls eat mice~\\cite{mouse}, see page");
    project.builds(&["bib", "tex"]);
    let text = pdf::text(&std::fs::read(project.at("report.pdf")).unwrap());
    assert!(text.contains("mice [2]") && text.contains("On Mice"), "{text}");
    project.builds(&[]);
}

#[test]
fn without_the_projection_it_runs_for_both() {
    let place = Place::new();
    let project = citing(&place, "");
    insert_a_page(&project);
    project.builds(&["bib", "tex"]);
}

#[test]
fn a_pdf_with_dates_of_its_own() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.inner]
        run = "SOURCE_DATE_EPOCH=$(cat moment) pdflatex -interaction=batchmode inner"
        out = ["inner.pdf", "inner.aux", "inner.log"]
        normalise = "pdf"
        [step.outer]
        run = "pdflatex -interaction=batchmode outer"
        out = "outer.pdf"
        "#,
    );
    // Compressed as usual, and object streams too.
    project.write("inner.tex", "\\documentclass{article}\\begin{document}Inside.\\end{document}\n");
    project.write(
        "outer.tex",
        "\\documentclass{article}\\begin{document}\\leavevmode\\pdfximage width 5cm {inner.pdf}\\pdfrefximage\\pdflastximage\\end{document}\n",
    );
    project.write("moment", "1700000000");
    project.builds(&["inner", "outer"]);
    let before = std::fs::read(project.at("inner.pdf")).unwrap();
    let says = String::from_utf8_lossy(&before).into_owned();
    assert!(says.contains("/CreationDate (D:20000101000000Z)"));
    assert!(says.contains(&format!("/ID [<{0}> <{0}>]", "0".repeat(32))));
    // Another moment, the same document: who reads it does not run, and nothing is written anew.
    project.write("moment", "1710000000");
    project.builds(&["inner"]);
    assert!(std::fs::read(project.at("inner.pdf")).unwrap() == before);
    project.replace("inner.tex", "Inside", "Deep inside");
    project.builds(&["inner", "outer"]);
    // It still opens: pdfTeX went by its cross-references.
    let log = project.read("outer.log");
    assert!(log.contains("Output written on outer.pdf (1 page"), "{log}");
}
