//! `examples/site` as its README tells it: undeclared outputs, listings, and files that are looked for in vain.

use crate::common::Place;

const PAGES: [&str; 3] = ["page:pages/building.txt", "page:pages/larder.txt", "page:pages/tracing.txt"];

fn with<'a>(pages: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut steps: Vec<_> = pages.iter().chain(more).copied().collect();
    steps.sort_unstable();
    steps
}

#[test]
fn it_builds_and_then_there_is_nothing_to_do() {
    let place = Place::new();
    let project = place.example("site");
    project.builds(&with(&PAGES, &["index", "topics"]));
    let made = project.files("html");
    insta::assert_snapshot!(made.join("\n"), @r"
    html/building.html
    html/index.html
    html/larder.html
    html/topics/caching.html
    html/topics/files.html
    html/topics/tracing.html
    html/tracing.html
    ");
    assert!(project.read("html/index.html").contains("tracing.html"));
    project.builds(&[]);

    project.remove("html");
    project.builds(&[]);
    assert_eq!(project.files("html"), made);
}

#[test]
fn a_snippet_makes_the_one_page_that_includes_it() {
    let place = Place::new();
    let project = place.example("site");
    project.builds(&with(&PAGES, &["index", "topics"]));
    project.append("snippets/trace.txt", "one more line\n");
    let edited = project.builds(&["index", "page:pages/tracing.txt"]);
    assert_eq!(edited.reason("page:pages/tracing.txt"), "snippets/trace.txt changed");
    assert!(project.read("html/tracing.html").contains("one more line"));
}

#[test]
fn a_banner_that_all_pages_looked_for_in_vain() {
    let place = Place::new();
    let project = place.example("site");
    project.builds(&with(&PAGES, &["index", "topics"]));
    let plain = project.read("html/larder.html");
    project.write("layout/banner.html", "<p>A banner</p>\n");
    let built = project.build(&[]).ok();
    assert!(PAGES.iter().all(|page| built.ran().contains(page)), "{}", built.said());
    assert_eq!(built.reason(PAGES[0]), "layout/banner.html appeared");
    assert!(project.read("html/larder.html").contains("A banner"));
    project.remove("layout/banner.html");
    project.builds(&[]);
    assert_eq!(project.read("html/larder.html"), plain);
}

#[test]
fn a_topic_comes_and_goes_with_its_undeclared_page() {
    let place = Place::new();
    let project = place.example("site");
    project.builds(&with(&PAGES, &["index", "topics"]));
    let before = project.files("html/topics");
    let page = project.read("pages/larder.txt");
    let (head, rest) = page.split_once("\n\n").unwrap();
    assert!(head.contains("topics:"), "{head}");
    project.write("pages/larder.txt", format!("{head} novelty\n\n{rest}"));
    let built = project.build(&[]).ok();
    assert!(built.ran().contains(&"topics") && built.ran().contains(&"index"), "{}", built.said());
    assert!(project.has("html/topics/novelty.html"));
    project.write("pages/larder.txt", page);
    project.builds(&[]);
    assert_eq!(project.files("html/topics"), before);
}
