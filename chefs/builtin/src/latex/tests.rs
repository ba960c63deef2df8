//! Plans of small documents, as a project file would say them.

use std::fs;

use super::*;

const ARTICLE: &str = "\\documentclass{article}\n\\begin{document}\nText.\n\\end{document}\n";

/// What is detected of these files; the endings of `keep` are left out.
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

/// The first word of each step.
fn programs(files: &[(&str, &str)]) -> Vec<String> {
    let steps = steps(files);
    let run = |(name, step): (&String, &Value)| {
        let run = step["run"].as_str().unwrap();
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
    let command = "pdflatex -interaction=batchmode -halt-on-error -file-line-error 'my report' || { grep";
    assert!(run.starts_with(command), "{run}");
    assert_eq!(step["tex"]["out"], "my report.pdf");
    assert!(step["tex"]["keep"].as_array().unwrap().contains(&json!("**/*.aux")));
}

#[test]
fn bibliography_and_index_are_found_in_what_is_taken_in() {
    let main = "\\documentclass{book}\\begin{document}\\include{parts/one}\\input{./two.tex}\\end{document}";
    let files = [
        ("main.tex", main),
        ("parts/one.tex", "\\cite{a}"),
        ("two.tex", "\\bibliography{refs}\\printindex\\input{main}"),
        ("notes.tex", "\\usepackage{biblatex}"),
    ];
    let steps = steps(&files);
    assert_eq!(steps["bib"], json!({ "run": "bibtex -terse main", "project": { "**/*.aux": "bibtex-aux" } }));
    assert_eq!(steps["index"], json!({ "run": "makeindex -q main" }));
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
    assert!(step["keep"].as_array().unwrap().contains(&json!("d\\[1\\]/**/*.aux")));
}
