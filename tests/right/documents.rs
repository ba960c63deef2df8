//! LaTeX documents without a project file: the chef finds what they need, and they come out as a person who runs all programs by
//! hand for long enough would have them.

use crate::common::{Built, Place, Project};
use crate::pdf;

#[track_caller]
fn says(project: &Project<'_>, path: &str) -> String {
    pdf::text(&std::fs::read(project.at(path)).unwrap())
}

/// A document whose text can be found in its PDF.
fn document(preamble: &str, body: &str) -> String {
    format!(
        "{}\\documentclass{{report}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n",
        pdf::PLAIN
    )
}

const BIBLIOGRAPHY: &str =
    "@book{darwin, author = {Charles Darwin}, title = {On Finches}, publisher = {Murray}, year = 1859}\n";

/// Of several files, with Biber, glossary, acronyms and index; its name has a space in it.
fn thesis<'p>(place: &'p Place) -> Project<'p> {
    let project = place.bare("thesis");
    let preamble = "\\usepackage[acronym]{glossaries}\n\\usepackage{biblatex,makeidx}\n\\addbibresource{refs/all.bib}\n\
                    \\makeglossaries\\makeindex\n\\newacronym{ngo}{NGO}{no good owl}\n\
                    \\newglossaryentry{finch}{name=finch,description={a bird}}";
    let body = "\\tableofcontents\n\\include{chapters/one}\n\\include{chapters/two}\n\\printglossaries\\printindex\\printbibliography";
    project.write("my thesis.tex", document(preamble, body));
    project.write(
        "chapters/one.tex",
        "\\chapter{Finches}\\label{one}A \\gls{finch}\\index{finch} is on page~\\pageref{two}.\n",
    );
    project.write(
        "chapters/two.tex",
        "\\chapter{Owls}\\label{two}An \\gls{ngo}\\index{owl} eats mice \\cite{darwin}.\n",
    );
    project.write("refs/all.bib", BIBLIOGRAPHY);
    project
}

#[test]
fn a_thesis_with_biber_glossaries_and_an_index() {
    let place = Place::new();
    let project = thesis(&place);
    let first = project.build(&[]).ok();
    assert_eq!(first.ran_without_chefs(), ["bib", "glossary", "index", "tex"]);
    let text = says(&project, "my thesis.pdf");
    for words in [
        "A finch is on page 3.",
        "An no good owl (NGO) eats mice [1]",
        "1 Finches 2 2 Owls 3",
        "finch a bird. 2",
        "NGO no good owl. 3",
        "Index finch, 2 owl, 3",
        "[1] Charles Darwin. On Finches . Murray, 1859.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    place.assert_nothing_left();
    project.builds(&[]);
    // A word is one pass, and asks none of the other programs.
    project.replace("chapters/two.tex", "eats mice", "likes mice");
    let word = project.build(&[]).ok();
    assert_eq!(word.passes("tex"), 1, "{}", word.said());
    assert!(
        !word.ran_without_chefs().contains(&"bib") && !word.ran_without_chefs().contains(&"index"),
        "{}",
        word.said()
    );
    // A page more moves everything.
    project.replace("chapters/one.tex", "A \\gls", "\\newpage A \\gls");
    project.build(&[]).ok();
    let text = says(&project, "my thesis.pdf");
    for words in ["is on page 4.", "finch a bird. 3", "Index finch, 3 owl, 4"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    project.builds(&[]);
}

#[test]
fn two_documents_that_include_the_same_part() {
    let place = Place::new();
    let project = place.bare("p");
    let body = |first: &str| format!("\\tableofcontents\n{first}\n\\include{{parts/owls}}");
    project.write("long.tex", document("", &body("\\newpage Before.\\newpage After.")));
    project.write("short.tex", document("", &body("")));
    project.write("parts/owls.tex", "\\chapter{Owls}\\label{owls}Owls are on page~\\pageref{owls}.\n");
    let first = project.build(&[]).ok();
    assert_eq!(first.ran_without_chefs(), ["tex-long", "tex-short"]);
    let pages = || [says(&project, "long.pdf"), says(&project, "short.pdf")];
    let [long, short] = pages();
    assert!(long.contains("1 Owls 4") && long.contains("Owls are on page 4."), "{long}");
    assert!(short.contains("1 Owls 2") && short.contains("Owls are on page 2."), "{short}");
    project.builds(&[]);
    project.replace("long.tex", "\\newpage After.", "");
    project.build(&[]).ok();
    let [long, short] = pages();
    assert!(long.contains("Owls are on page 3.") && short.contains("Owls are on page 2."), "{long}\n{short}");
}

#[test]
fn what_nobody_could_guess_is_kept() {
    let place = Place::new();
    let project = place.bare("p");
    // A file of the document's own, which it reads if it is there and writes later.
    let body = "\\IfFileExists{paper.num}{There are \\input{paper.num} words.}{The number is not known.}\n\
                \\newwrite\\out\\immediate\\openout\\out=paper.num\\immediate\\write\\out{seventeen}\\immediate\\closeout\\out";
    project.write("paper.tex", document("", body));
    let first = project.build(&[]).ok();
    assert_eq!(first.passes("tex"), 2, "{}", first.said());
    assert_eq!(says(&project, "paper.pdf"), "There are seventeen words. 1");
}

#[test]
fn what_a_document_writes_for_itself_is_written_anew() {
    let place = Place::new();
    let project = place.bare("p");
    let preamble = format!(
        "\\begin{{filecontents*}}{{\\jobname.bib}}\n{BIBLIOGRAPHY}\\end{{filecontents*}}\n\
         \\begin{{filecontents}}{{part}}\nAn owl.\n\\end{{filecontents}}\n\
         \\begin{{filecontents}}{{given}}\nA finch.\n\\end{{filecontents}}"
    );
    let body = "\\input{part} \\input{given} \\cite{darwin}\\bibliographystyle{plain}\\bibliography{paper}";
    project.write("paper.tex", document(&preamble, body));
    // What is there as a source is nobody's to write.
    project.write("given.tex", "A source.\n");
    project.build(&[]).ok();
    let text = says(&project, "paper.pdf");
    assert!(text.contains("An owl. A source. [1]") && text.contains("Murray, 1859."), "{text}");
    project.builds(&[]);
    project.replace("paper.tex", "1859", "1871");
    project.replace("paper.tex", "An owl", "Two owls");
    project.build(&[]).ok();
    let text = says(&project, "paper.pdf");
    assert!(text.contains("Two owls. A source. [1]") && text.contains("Murray, 1871."), "{text}");
    assert_eq!(project.read("given.tex"), "A source.\n");
    project.builds(&[]);
}

#[test]
fn lualatex_finds_its_fonts_once() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "paper.tex",
        "\\documentclass{article}\\usepackage{fontspec}\\begin{document}Owls\\end{document}\n",
    );
    project.build(&[]).ok();
    assert!(project.has("paper.pdf") && project.has(".luatex/paper/luatex-cache"));
    project.builds(&[]);
    project.replace("paper.tex", "Owls", "All owls");
    let edited = project.build(&[]).ok();
    assert_eq!((edited.ran_without_chefs(), edited.passes("tex")), (vec!["tex"], 1));
}

#[test]
fn xelatex_is_what_a_comment_or_a_package_asks_for() {
    let place = Place::new();
    for (name, first, preamble) in [
        ("said", "% !TEX program = xelatex\n", "\\usepackage{fontspec}"),
        ("needed", "", "\\usepackage{mathspec}"),
    ] {
        let project = place.bare(name);
        let body = "\\tableofcontents\\section{Owls}\\label{owls}Ærlige ugler, page~\\pageref{owls}";
        project.write(
            "paper.tex",
            format!(
                "{first}\\documentclass{{article}}{preamble}\\begin{{document}}{body}\\end{{document}}\n"
            ),
        );
        let built = project.build(&[]).ok();
        assert_eq!(built.ran_without_chefs(), ["tex"], "{}", built.said());
        assert!(std::fs::read(project.at("paper.pdf")).unwrap().starts_with(b"%PDF-"));
        let log = project.read("paper.log");
        assert!(log.starts_with("This is XeTeX") && !log.contains("LaTeX Warning"), "{log}");
        assert!(project.read("paper.toc").contains("Owls"));
        project.builds(&[]);
        project.replace("paper.tex", "ugler", "unger");
        let edited = project.build(&[]).ok();
        assert_eq!((edited.ran_without_chefs(), edited.passes("tex")), (vec!["tex"], 1), "{}", edited.said());
    }
    place.assert_nothing_left();
}

/// What is said of why a step failed.
#[track_caller]
fn why(built: &Built) -> Vec<&str> {
    built.said().lines().filter_map(|line| line.trim().strip_prefix("why: ")).collect()
}

#[test]
fn what_is_wrong_has_its_file_and_line_and_nothing_is_kept_of_it() {
    let place = Place::new();
    let project = thesis(&place);
    project.append("chapters/two.tex", "\n\\nosuchcommand\n");
    let wrong = project.build(&[]).failed();
    assert_eq!(why(&wrong), ["chapters/two.tex:3: `\\nosuchcommand` is not defined"], "{}", wrong.said());
    assert!(!project.has("my thesis.pdf") && !project.has("my thesis.aux"));
    // The same again, for nothing of it was remembered; asking why costs nothing any more.
    let again = project.build(&[]).failed();
    assert_eq!((again.ran_without_chefs(), why(&again)), (vec!["tex"], why(&wrong)));
    project.replace("chapters/two.tex", "\\nosuchcommand", "");
    project.build(&[]).ok();

    project.replace("my thesis.tex", "\\makeglossaries", "\n\\usepackage{nosuchpackage}\\makeglossaries");
    let wrong = project.build(&[]).failed();
    let missing = "my thesis.tex:7: the package `nosuchpackage` is not installed; on Debian `apt-file search /nosuchpackage.sty` names \
                   the package that has it";
    assert_eq!(why(&wrong), [missing], "{}", wrong.said());
    project.replace("my thesis.tex", "nosuchpackage", "siunitx,makeidx");
    let is_there =
        std::path::Path::new("/usr/share/texlive/texmf-dist/tex/latex/siunitx/siunitx.sty").exists();
    if !is_there {
        let wrong = project.build(&[]).failed();
        let missing = "my thesis.tex:7: the package `siunitx` is not installed; Debian has it in the package `texlive-science`";
        assert_eq!(why(&wrong), [missing], "{}", wrong.said());
    }
    project.replace("my thesis.tex", "siunitx,makeidx", "makeidx");
    project.replace("refs/all.bib", "author = {Charles Darwin},", "author = {Charles Darwin}");
    let wrong = project.build(&[]).failed();
    let [one] = why(&wrong)[..] else { panic!("{}", wrong.said()) };
    assert!(one.starts_with("refs/all.bib:1: ") && one.contains("found \"title\""), "{one}");
    project.remove("refs/all.bib");
    let wrong = project.build(&[]).failed();
    assert_eq!(
        why(&wrong),
        ["the bibliography `refs/all.bib` is not there, and no step makes it"],
        "{}",
        wrong.said()
    );
}

#[test]
fn what_leads_nowhere_is_told_when_all_has_settled() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("paper.tex", document("", "\\section{One}\\label{one}See \\ref{one} and \\ref{two}."));
    let first = project.build(&[]).ok();
    let told: Vec<&str> = first.output("tex").into_iter().filter(|line| line.contains("undefined")).collect();
    assert_eq!(told, ["LaTeX Warning: Reference `two' on page 1 undefined on input line 5."]);
    project.replace("paper.tex", " and \\ref{two}", "");
    assert!(project.build(&[]).ok().output("tex").is_empty());
}

#[test]
fn what_an_earlier_latex_left_is_not_overwritten() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("paper.tex", document("", "Owls"));
    project.write("paper.pdf", "of mine");
    let refused = project.build(&[]).code(2);
    assert!(refused.said().contains("`paper.pdf`, which is a source"), "{}", refused.said());
    assert!(refused.said().contains("move them away first"), "{}", refused.said());
    assert_eq!(project.read("paper.pdf"), "of mine");
    project.remove("paper.pdf");
    project.build(&[]).ok();
}

#[test]
fn what_no_pass_makes_any_more_goes() {
    let place = Place::new();
    let project = place.bare("p");
    let body = "\\include{ch/c1}\nAn owl\\index{owl} has a section.\n\\printindex";
    project.write("main.tex", document("\\usepackage{makeidx}\n\\makeindex", body));
    project.write("ch/c1.tex", "\\chapter{One}\\label{one}Here.\n");
    project.build(&[]).ok();
    assert!(project.has("main.idx") && project.has("ch/c1.aux"), "{:?}", project.files(""));
    project.replace("main.tex", "\\usepackage{makeidx}\n\\makeindex", "\\newcommand\\printindex{}");
    project.replace("main.tex", "\\include{ch/c1}", "\\input{ch/c1}");
    project.build(&[]).ok();
    assert!(
        !project.has("main.idx") && !project.has("main.ind") && !project.has("ch/c1.aux"),
        "{:?}",
        project.files("")
    );
    project.builds(&[]);
}

#[test]
fn a_document_that_is_named_has_all_that_belongs_to_it() {
    let place = Place::new();
    let project = thesis(&place);
    let built = project.build(&["my thesis.pdf"]).ok();
    assert_eq!(built.ran_without_chefs(), ["bib", "glossary", "index", "tex"]);
    let text = says(&project, "my thesis.pdf");
    for words in
        ["eats mice [1]", "finch a bird. 2", "Index finch, 2 owl, 3", "[1] Charles Darwin. On Finches"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(
        project.files("").iter().filter(|path| !path.ends_with(".tex")).count(),
        2,
        "the PDF and refs"
    );
    assert!(project.build(&["my thesis.pdf"]).ok().ran_without_chefs().is_empty());
    project.replace("refs/all.bib", "Darwin", "Wallace");
    project.build(&["my thesis.pdf"]).ok();
    assert!(says(&project, "my thesis.pdf").contains("[1] Charles Wallace"));
    // A bare build makes nothing else of it.
    let pdf = std::fs::read(project.at("my thesis.pdf")).unwrap();
    project.build(&[]).ok();
    assert_eq!(std::fs::read(project.at("my thesis.pdf")).unwrap(), pdf);
}

#[test]
fn a_bibliography_that_is_named_is_made_of_what_is_cited() {
    let place = Place::new();
    let project = place.bare("p");
    project.write(
        "paper.tex",
        document("", "Owls \\cite{darwin}.\\bibliographystyle{plain}\\bibliography{refs}"),
    );
    project.write("refs.bib", BIBLIOGRAPHY);
    project.build(&["paper.bbl"]).ok();
    assert!(project.read("paper.bbl").contains("Charles Darwin"), "{}", project.read("paper.bbl"));
}
