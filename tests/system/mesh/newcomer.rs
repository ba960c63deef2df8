//! What one pod has built of real projects another one with an empty larder has without running anything.

use super::{Member, is_announced, two};
use crate::common::{Place, Project, debian};
use crate::real::LUA;

/// A C program, Lua's sources as Debian has them, and a LaTeX document; no Lua where its sources cannot be had.
fn projects(place: &Place) -> Vec<Project<'_>> {
    let folder = place.path().join("projects/lua");
    let lua = debian::unpack("lua5.4", &folder).then(|| place.project("lua", LUA));
    [place.example("hello"), place.example("report")].into_iter().chain(lua).collect()
}

#[test]
fn an_empty_larder_builds_real_projects_and_runs_nothing() {
    let (_ground, _server, a, b) = two();
    b.sees(&["a"]);
    let (there, here) = (projects(&a.place), projects(&b.place));
    let sources: Vec<_> = there.iter().map(Project::bytes).collect();
    let objects = b.place.pod(&["status", "--json"]).ok().json()["objects"].as_u64();
    assert_eq!(objects, Some(0), "its larder is empty");
    for project in &there {
        let built = project.build(&[]).ok();
        assert!(built.count("ran") >= 3, "{}", built.said());
    }
    is_announced(&b, &a);
    for ((there, here), sources) in there.iter().zip(&here).zip(sources) {
        assert!(here.bytes() == sources, "both begin with the same sources");
        let built = here.builds(&[]);
        assert_eq!(built.count("ran"), 0, "{}", built.said());
        let (there, here) = (there.bytes(), here.bytes());
        assert!(there.len() > sources.len(), "something was made");
        assert_eq!(there.keys().collect::<Vec<_>>(), here.keys().collect::<Vec<_>>());
        let differ: Vec<_> = there.keys().filter(|path| there[*path] != here[*path]).collect();
        assert!(differ.is_empty(), "{differ:?} differ");
    }
    drop((there, here));
    [b, a].into_iter().for_each(Member::leaves);
}
