//! Projections and normalisers: what runs after a change of the part that matters, and after one of the rest.

use crate::common::Place;

const REPORT: &str = r#"
[step.tex]
run = '''
cp doc main.aux
{ date +%N; wc -c < doc; } > main.log
'''
out = ["main.aux", "main.log"]
[step.bib]
run = '''
test -s main.aux && test -s main.log
grep ^.citation main.aux > main.bbl
grep -c error main.log >> main.bbl || true
'''
out = "main.bbl"
after = "tex"
project = { "*.aux" = "bibtex-aux", "*.log" = "ignore" }
"#;

#[test]
fn a_reader_runs_for_what_matters_to_it() {
    let place = Place::new();
    let project = place.project("p", REPORT);
    project.write("doc", "\\relax\n\\citation{knuth}\npage 1\n");
    project.builds(&["bib", "tex"]);
    project.builds(&[]);
    // Longer, and elsewhere; the log is another one in any case.
    project.append("doc", "page 2\npage 3\n");
    project.builds(&["tex"]);
    project.append("doc", "page 4\n");
    project.builds(&["tex"]);
    project.append("doc", "\\citation{lamport}\n");
    let built = project.builds(&["bib", "tex"]);
    assert_eq!(built.reason("bib"), "main.aux changed");
    assert_eq!(project.read("main.bbl"), "\\citation{knuth}\n\\citation{lamport}\n0\n");
    // What was there before is known, whatever is beside it.
    project.write("doc", "\\citation{knuth}\nbut\n\\@writefile{x}{y}\n");
    project.builds(&["tex"]);
    assert_eq!(project.read("main.bbl"), "\\citation{knuth}\n0\n");
    project.remove("main.bbl");
    project.builds(&[]);
    assert_eq!(project.read("main.bbl"), "\\citation{knuth}\n0\n");
}

#[test]
fn another_projection_is_another_step() {
    let place = Place::new();
    let project = place.project("p", REPORT);
    project.write("doc", "\\citation{knuth}\npage 1\n");
    project.builds(&["bib", "tex"]);
    project.replace("majordomo.toml", "\"*.aux\" = \"bibtex-aux\", ", "");
    let built = project.builds(&["bib"]);
    assert_eq!(built.reason("bib"), "its `project` changed");
    project.append("doc", "page 2\n");
    project.builds(&["bib", "tex"]);
}

#[test]
fn one_value_of_a_source() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.v]\nrun = 'grep version conf.json > v'\nout = 'v'\nproject.\"conf.json\" = ['json:version', 'json:build.\"on push\"']\n",
    );
    project.write("conf.json", "{\"version\": \"1.0\", \"build\": {\"on push\": [1]}, \"author\": \"me\"}");
    project.builds(&["v"]);
    project.write(
        "conf.json",
        "{\"author\": \"you\",\n \"build\": {\"on push\": [1.0]},\n \"version\": \"1.0\"}\n",
    );
    project.builds(&[]);
    project.replace("conf.json", "you", "somebody else");
    project.builds(&[]);
    project.replace("conf.json", "[1.0]", "[2]");
    project.builds(&["v"]);
    project.replace("conf.json", "\"version\": \"1.0\"", "\"release\": \"1.0\"");
    assert!(project.build(&[]).failed().failure("v").contains("exit code 1"));
    project.write("conf.json", "{\"version\": broken");
    project.builds(&["v"]);
    project.append("conf.json", " ");
    project.builds(&["v"]);
}

#[test]
fn an_output_in_its_normal_form() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.pdf]
        run = "printf '%%PDF-1.4\n<< /ModDate (D:%s) >>\n%s\n' $(cat moment) $(cat text) | tee doc/a.pdf > a.raw"
        out = ["doc/a.pdf", "a.raw"]
        normalise = "pdf"
        [step.copy]
        run = "cat doc/a.pdf > copy"
        out = "copy"
        after = "pdf"
        "#,
    );
    project.write("moment", "20240101120000Z");
    project.write("text", "one");
    project.builds(&["copy", "pdf"]);
    assert_eq!(project.read("doc/a.pdf"), "%PDF-1.4\n<< /ModDate (D:20000101000000Z) >>\none\n");
    assert!(project.read("a.raw").contains("D:20240101120000Z"), "it is for what matches alone");
    project.write("moment", "20250202130000Z");
    project.builds(&["pdf"]);
    project.write("text", "two");
    project.builds(&["copy", "pdf"]);
    project.remove("doc/a.pdf");
    project.builds(&[]);
    assert_eq!(project.read("doc/a.pdf"), "%PDF-1.4\n<< /ModDate (D:20000101000000Z) >>\ntwo\n");
}
