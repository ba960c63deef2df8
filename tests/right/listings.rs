//! Folders that commands list by themselves: T5, and T6, where it is the step's own folder of outputs.

use crate::common::{Place, Project};

const GLOB: &str = r#"
[step.all]
run = "cat words/*.txt > all"
out = "all"
[step.count]
run = "wc -l < all > count"
out = "count"
after = "all"
[step.apart]
run = "cat apart/one > of-apart"
out = "of-apart"
"#;

#[test]
fn t5_a_file_that_a_glob_in_the_command_matches_comes_and_goes() {
    let place = Place::new();
    let project = place.project("p", GLOB);
    project.write("words/a.txt", "a\n");
    project.write("words/c.txt", "c\n");
    project.write("apart/one", "1\n");
    project.builds(&["all", "apart", "count"]);
    project.write("words/b.txt", "b\n");
    assert_eq!(project.builds(&["all", "count"]).reason("all"), "names in words changed");
    assert_eq!((project.read("all"), project.read("count").trim()), ("a\nb\nc\n".into(), "3"));
    project.remove("words/b.txt");
    project.builds(&[]);
    assert_eq!((project.read("all"), project.read("count").trim()), ("a\nc\n".into(), "2"));
    // Another name for the same bytes, which sorts elsewhere.
    std::fs::rename(project.at("words/a.txt"), project.at("words/d.txt")).unwrap();
    project.builds(&["all", "count"]);
    assert_eq!(project.read("all"), "c\na\n");
    // A name that does not match is a change of the folder, and ends there.
    project.write("words/notes.md", "notes\n");
    project.builds(&["all"]);
    project.write("words/notes.md", "other notes\n");
    project.builds(&[]);
    // A folder that nobody lists.
    project.write("apart/two", "2\n");
    project.builds(&[]);
}

#[test]
fn t5_a_glob_over_folders_and_links() {
    let place = Place::new();
    let project = place.project("p", "[step.all]\nrun = 'cat */part > all'\nout = 'all'\n");
    project.write("a/part", "a\n");
    project.write("b/other", "no part\n");
    project.builds(&["all"]);
    project.write("b/part", "b\n");
    assert_eq!(project.builds(&["all"]).reason("all"), "b/part appeared");
    assert_eq!(project.read("all"), "a\nb\n");
    project.write("c/part", "c\n");
    project.builds(&["all"]);
    std::os::unix::fs::symlink("a", project.at("d")).unwrap();
    project.builds(&["all"]);
    assert_eq!(project.read("all"), "a\nb\nc\na\n");
    project.remove("d");
    project.remove("c");
    project.remove("b/part");
    project.builds(&[]);
    assert_eq!(project.read("all"), "a\n");
}

#[test]
fn t5_a_folder_that_was_empty_or_not_there() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.empty]\nrun = 'ls empty > of-empty'\nout = 'of-empty'\n\
         [step.absent]\nrun = 'ls absent > of-absent || echo none > of-absent'\nout = 'of-absent'\n",
    );
    std::fs::create_dir(project.at("empty")).unwrap();
    project.builds(&["absent", "empty"]);
    project.write("empty/a", "1");
    project.builds(&["empty"]);
    std::fs::create_dir(project.at("absent")).unwrap();
    assert_eq!(project.builds(&["absent"]).reason("absent"), "absent appeared");
    project.write("absent/b", "1");
    project.builds(&["absent"]);
    assert_eq!((project.read("of-empty"), project.read("of-absent")), ("a\n".into(), "b\n".into()));
    // A file that becomes a folder is the same name in a listing, but not the same kind.
    project.remove("empty/a");
    std::fs::create_dir(project.at("empty/a")).unwrap();
    project.builds(&["empty"]);
}

/// It lists and cleans its own folder of outputs, as many scripts do; then makes a page for each source.
const OWN_FOLDER: &str = r#"
[step.pages]
run = '''
for old in $(ls html 2>/dev/null); do echo "there was $old"; done
test -d html && find html -type f -delete && rm -r html
mkdir html
for page in pages/*; do tr a-z A-Z < $page > html/${page#pages/}; done
ls html > html/index
'''
OUT
"#;

fn own_folder<'p>(place: &'p Place, out: &str) -> Project<'p> {
    let project = place.project("p", &OWN_FOLDER.replace("OUT", out));
    project.write("pages/a", "a\n");
    project.write("pages/b", "b\n");
    project.builds(&["pages"]);
    project
}

#[test]
fn t6_a_step_that_lists_and_cleans_its_own_folder() {
    for out in ["out = 'html/'", "out = ['html/index', 'html/a']", ""] {
        let place = Place::new();
        let project = own_folder(&place, out);
        let index = "a\nb\nindex\n";
        assert_eq!((project.read("html/a"), project.read("html/index")), ("A\n".into(), index.into()));
        project.builds(&[]);
        // What it made is handed over, and still it saw nothing of it when it runs again.
        project.write("pages/a", "aa\n");
        let edited = project.builds(&["pages"]);
        assert!(!edited.output("pages").iter().any(|line| line.contains("there was")), "{}", edited.said());
        project.builds(&[]);

        project.remove("html");
        assert_eq!(project.builds(&[]).count("written"), 3, "{out}");
        assert_eq!((project.read("html/a"), project.read("html/index")), ("AA\n".into(), index.into()));
        project.remove("html/b");
        assert_eq!(project.builds(&[]).count("written"), 1);

        project.write("pages/a", "a\n");
        project.builds(&[]);
        assert_eq!(project.read("html/a"), "A\n");
        project.write("pages/c", "c\n");
        project.builds(&["pages"]);
        assert_eq!(project.files("html"), ["html/a", "html/b", "html/c", "html/index"]);
        project.remove("pages/b");
        project.builds(&["pages"]);
        assert_eq!(project.files("html"), ["html/a", "html/c", "html/index"]);
    }
}

#[test]
fn t6_the_same_in_another_checkout_and_after_a_clean() {
    let place = Place::new();
    let project = own_folder(&place, "out = 'html/'");
    project.ask("clean", &[]).ok();
    assert!(!project.has("html"));
    assert_eq!(project.builds(&[]).count("written"), 3);
    project.remove("html");
    let other = project.checkout("elsewhere");
    other.builds(&[]);
    assert_eq!(other.read("html/index"), "a\nb\nindex\n");
}
