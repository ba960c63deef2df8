//! Plans of small documents, as a project file would say them.

use std::fs;

use serde_json::Value;

use super::*;

const ARTICLE: &str = "\\documentclass{article}\n\\begin{document}\nText.\n\\end{document}\n";

/// What is detected of these files.
fn detected(files: &[(&str, &str)]) -> Detected {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    detect(folder.path()).unwrap()
}

fn steps(files: &[(&str, &str)]) -> Value {
    detected(files).plan.unwrap().file["step"].clone()
}

/// The program of each step.
fn programs(files: &[(&str, &str)]) -> Vec<String> {
    let steps = steps(files);
    let run = |(name, step): (&String, &Value)| {
        let run = step["run"].as_str().unwrap();
        let run = if run.starts_with('[') { run.split_once("] || ").unwrap().1 } else { run };
        format!("{name}: {}", run.split(' ').next().unwrap())
    };
    steps.as_object().unwrap().iter().map(run).collect()
}

#[test]
fn where_there_is_no_document_it_is_no_project() {
    let part = "\\section{A part}\n";
    let class = "\\documentclass{article}\n% \\begin{document}\n";
    let subfile = "\\documentclass[main]{subfiles}\\begin{document}\\end{document}";
    for files in
        [&[][..], &[("a.txt", ARTICLE)], &[("a.tex", part)], &[("a.tex", class)], &[("a.tex", subfile)]]
    {
        assert_eq!(detected(files), Detected::default());
    }
    for path in ["a/b/c/d.tex", ".hidden/d.tex"] {
        assert_eq!(detected(&[(path, ARTICLE)]), Detected::default(), "{path}");
    }
}

#[test]
fn a_document_alone_is_one_step() {
    let detected = detected(&[("my report.tex", ARTICLE), ("sub/other.tex", ARTICLE)]);
    assert_eq!((detected.sure, detected.found.as_str()), (SURE, "the LaTeX document `my report.tex`"));
    let step = &detected.plan.unwrap().file["step"];
    assert_eq!(step.as_object().unwrap().len(), 1);
    let run = step["tex"]["run"].as_str().unwrap();
    let command =
        "pdflatex -interaction=batchmode -halt-on-error -file-line-error 'my report' > /dev/null || {";
    assert!(run.starts_with(command), "{run}");
    assert_eq!(step["tex"]["out"], "my report.pdf");
    assert_eq!(step["tex"]["keep"], true);
}

#[test]
fn bibliography_and_index_are_found_in_what_is_taken_in() {
    let main = "\\documentclass{book}\\begin{document}\\include{parts/one}\\input{./two.tex}\\end{document}";
    let files = [
        ("main.tex", main),
        ("parts/one.tex", "\\cite{a}\\makeindex"),
        ("two.tex", "\\bibliography{refs}\\printindex\\input{main}"),
        ("notes.tex", "\\usepackage{biblatex}"),
    ];
    let steps = steps(&files);
    assert_eq!(
        steps["bib"],
        json!({
            "run": "[ ! -e main.aux ] || bibtex -terse main || exit\n[ -e main.bbl ] || : > main.bbl",
            "out": "main.bbl",
            "project": { "**/*.aux": "bibtex-aux" },
        })
    );
    assert_eq!(
        steps["index"],
        json!({ "run": "[ ! -e main.idx ] || makeindex -q main || exit\n[ -e main.ind ] || : > main.ind", "out": "main.ind" })
    );
    // BibTeX fails where nothing is cited.
    let uncited = [("main.tex", main), ("two.tex", "\\bibliography{refs}")];
    assert_eq!(programs(&uncited), ["tex: pdflatex"]);
}

#[test]
fn biber_unless_biblatex_says_otherwise() {
    let with = |line: &str| format!("\\documentclass{{article}}{line}\\begin{{document}}");
    let biber = with("\\usepackage[style=alphabetic]{biblatex}");
    assert_eq!(programs(&[("a.tex", &biber)]), ["bib: biber", "tex: pdflatex"]);
    let bibtex = with("\\usepackage[backend = bibtex]{biblatex}");
    assert_eq!(programs(&[("a.tex", &bibtex)]), ["bib: bibtex", "tex: pdflatex"]);
}

#[test]
fn the_engine_is_that_of_the_comment_else_of_the_packages() {
    let with = |top: &str, package: &str| {
        format!("{top}\n\\documentclass{{article}}\\usepackage{{{package}}}\\begin{{document}}")
    };
    for (top, package, engine) in [
        ("", "fontspec", "lualatex"),
        ("", "xltxtra,fontspec", "xelatex"),
        ("% !TEX program = xelatex", "fontspec", "xelatex"),
        ("%!TeX TS-program = LuaLaTeX", "babel", "lualatex"),
        // Nobody runs what is no engine.
        ("% !TEX program = rm", "babel", "pdflatex"),
    ] {
        assert_eq!(
            programs(&[("a.tex", &with(top, package))]),
            [format!("tex: {engine}")],
            "{top} {package}"
        );
    }
    let dvi = steps(&[("a.tex", &with("% !TEX program = latex", "babel"))]);
    assert_eq!(dvi["tex"]["out"], "a.dvi");
}

#[test]
fn several_documents_and_folders_with_odd_names() {
    let files = [("d[1]/a b.tex", ARTICLE), ("d[1]/a-b.tex", ARTICLE)];
    let steps = steps(&files);
    let names: Vec<&String> = steps.as_object().unwrap().keys().collect();
    assert_eq!(names, ["tex-d-1--a-b", "tex-d-1--a-b-2"]);
    let step = &steps["tex-d-1--a-b"];
    assert_eq!((&step["cwd"], &step["out"]), (&json!("d[1]"), &json!("d[1]/a b.pdf")));
}

#[test]
fn documents_that_include_the_same_part_have_an_order() {
    let of = |class: &str, parts: &str| {
        format!("\\documentclass{{{class}}}\\begin{{document}}{parts}\\end{{document}}")
    };
    let (both, one) = (of("book", "\\include{ch/a}\\include{ch/b}"), of("article", "\\include{./ch/b.tex}"));
    let files = [
        ("all.tex", both.as_str()),
        ("one.tex", &one),
        ("other.tex", ARTICLE),
        ("ch/a.tex", ""),
        ("ch/b.tex", ""),
    ];
    let steps = steps(&files);
    assert_eq!((&steps["tex-all"]["after"], &steps["tex-other"]["after"]), (&Value::Null, &Value::Null));
    assert_eq!(steps["tex-one"]["after"], json!(["tex-all"]));
}

#[test]
fn a_document_that_another_one_shows_comes_before_it() {
    let showing = |what: &str| {
        format!(
            "\\documentclass{{article}}\\begin{{document}}\\includegraphics*[width=1cm]{{{what}}}\\end{{document}}"
        )
    };
    let after = |files: &[(&str, &str)], name: &str| steps(files)[name]["after"].clone();
    let (a, b, c) = (showing("c"), showing("./a.pdf"), showing("photo"));
    let chain = [("a.tex", a.as_str()), ("b.tex", &b), ("c.tex", &c)];
    assert_eq!(after(&chain, "tex-a"), json!(["tex-c"]));
    assert_eq!(after(&chain, "tex-b"), json!(["tex-a"]));
    assert_eq!(after(&chain, "tex-c"), Value::Null);
    // Those that show each other have no order that would do.
    let (a, b) = (showing("b"), showing("a"));
    let circle = [("a.tex", a.as_str()), ("b.tex", &b)];
    assert_eq!((after(&circle, "tex-a"), after(&circle, "tex-b")), (Value::Null, json!(["tex-a"])));
    // Shown by a part of the other.
    let part = [
        ("a.tex", "\\documentclass{article}\\begin{document}\\input{ch/part}"),
        ("ch/part.tex", "\\includegraphics{z}"),
        ("z.tex", ARTICLE),
    ];
    assert_eq!(after(&part, "tex-a"), json!(["tex-z"]));
}

#[test]
fn glossaries_nomenclature_and_indices() {
    let with = |line: &str| format!("\\documentclass{{article}}{line}\\begin{{document}}\\printindex");
    for (line, steps) in [
        (
            "\\usepackage[acronym]{glossaries}\\makeglossaries",
            &["glossary: makeglossaries", "tex: pdflatex"][..],
        ),
        ("\\usepackage[automake]{glossaries}\\makeglossaries", &["tex: pdflatex"]),
        ("\\usepackage{glossaries}\\makenoidxglossaries", &["tex: pdflatex"]),
        ("\\usepackage[record]{glossaries-extra}", &["glossary: bib2gls", "tex: pdflatex"]),
        ("\\usepackage{nomencl}\\makenomenclature", &["nomenclature: makeindex", "tex: pdflatex"]),
        ("\\usepackage{makeidx}\\makeindex", &["index: makeindex", "tex: pdflatex"]),
        // imakeidx runs it itself.
        ("\\usepackage{imakeidx}\\makeindex", &["tex: pdflatex"]),
        ("\\usepackage[noautomatic]{imakeidx}\\makeindex", &["index: makeindex", "tex: pdflatex"]),
    ] {
        assert_eq!(programs(&[("a.tex", &with(line))]), steps, "{line}");
    }
    let minted = steps(&[("a.tex", &with("\\usepackage{minted}"))]);
    assert!(minted["tex"]["run"].as_str().unwrap().contains("-shell-escape"));
}

#[test]
fn a_class_of_ones_own_counts() {
    let class = "\\LoadClass{report}\\RequirePackage{ours}\\PassOptionsToPackage{backend=bibtex}{biblatex}\\newcommand\\cite{}";
    let files = [
        ("thesis.tex", "\\documentclass{uni}\\begin{document}\\input{a}"),
        ("a.tex", "text"),
        ("uni.cls", class),
        ("ours.sty", "\\RequirePackage{fontspec}\\bibliography{x}"),
    ];
    // What a class defines is nothing that is cited.
    assert_eq!(programs(&files), ["tex: lualatex"]);
    let cited = [files[0], ("a.tex", "\\cite{x}"), files[2], files[3]];
    assert_eq!(programs(&cited), ["bib: bibtex", "tex: lualatex"]);
    let biblatex = [files[0], files[1], files[2], ("ours.sty", "\\RequirePackage{biblatex}")];
    assert_eq!(programs(&biblatex), ["bib: bibtex", "tex: pdflatex"]);
}

#[test]
fn what_another_document_takes_in_is_none() {
    let main = "\\documentclass{article}\\usepackage{standalone}\\begin{document}\\input{figure}";
    let figure = "\\documentclass{standalone}\\begin{document}x\\end{document}";
    let files = [("main.tex", main), ("figure.tex", figure)];
    assert_eq!(detected(&files).found, "the LaTeX document `main.tex`");
    let circle =
        [("main.tex", main), ("figure.tex", "\\documentclass{article}\\begin{document}\\input{main}")];
    assert_eq!(detected(&circle).found, "the LaTeX documents `figure.tex`, `main.tex`");
}

#[test]
fn what_a_document_writes_for_itself_is_gone_before_each_pass() {
    let main = "\\begin{filecontents*}{\\jobname.bib}\n\\end{filecontents*}\\documentclass{article}\\begin{filecontents}{given.dat}\n\
                \\end{filecontents}\\begin{document}\\input{it's}";
    let part =
        "\\begin{filecontents}{a b}\\end{filecontents}\\begin{filecontents}{\\name.tex}\\end{filecontents}";
    let steps = steps(&[("main.tex", main), ("it's.tex", part), ("given.dat", "")]);
    let run = steps["tex"]["run"].as_str().unwrap();
    assert!(run.starts_with("rm -f -- 'a b.tex' main.bib\npdflatex "), "{run}");
}

#[test]
fn what_came_with_the_document_is_not_made() {
    let main = "\\documentclass{article}\\begin{document}\\cite{a}\\bibliography{b}";
    assert_eq!(programs(&[("main.tex", main)]), ["bib: bibtex", "tex: pdflatex"]);
    assert_eq!(programs(&[("main.tex", main), ("main.bbl", "")]), ["tex: pdflatex"]);
    let notes = detected(&[("main.tex", main), ("main.aux", ""), ("main.pdf", "")]).plan.unwrap().notes;
    assert!(notes[0].starts_with("`main.aux`, `main.pdf` were there before"), "{notes:?}");
}
