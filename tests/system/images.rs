//! Images of podman's storage in the place of the machine's tools.

use crate::common::image::Image;
use crate::common::{Gate, Place, Project};
use crate::engines::has_podman;

/// The example with an image in its project file.
fn hello<'p>(place: &'p Place, image: &Image<'_>) -> Project<'p> {
    let project = place.example("hello");
    project.replace("majordomo.toml", "[project]\n", &format!("[project]\nimage = '{}'\n", image.name));
    project
}

#[test]
fn an_image_that_is_made_again_runs_nothing_unless_what_was_read_differs() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let image = Image::with_a_compiler(&place);
    let project = hello(&place, &image);
    let first = project.build(&["--sandbox", "native"]).ok();
    assert_eq!(first.ran(), ["compile:src/greet.c", "compile:src/main.c", "link"]);
    project.builds(&[]);
    // Another image, by its number, with the same compiler in it.
    let before = image.id();
    image.make_again_with("usr/share/doc/new/news", "nothing that a compiler reads");
    assert_ne!(image.id(), before);
    project.builds(&[]);
    assert!(project.build(&["--sandbox", "podman"]).ok().ran().is_empty());
    // A file that one step looked for in vain is there now.
    image.make_again_with("usr/lib/gcc/x86_64-linux-gnu/12/include/stdio.h", "#include_next <stdio.h>\n");
    let again = project.build(&["--sandbox", "podman"]).ok();
    assert!(again.ran().contains(&"compile:src/main.c"), "{:?}", again.ran());
}

#[test]
fn layers_lie_over_each_other() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let image = Image::with_a_compiler(&place);
    image.lay_over("/usr/share/greeting", "from above");
    let project = place.project(
        "p",
        &format!(
            "[step.here]\nrun = 'ls /usr/share > here'\nout = 'here'\n\
             [step.there]\nimage = '{}'\nrun = 'cat /usr/share/greeting > there'\nout = 'there'\n",
            image.name
        ),
    );
    project.build(&[]).ok();
    assert_eq!(project.read("there"), "from above");
    assert!(!project.read("here").contains("greeting"), "a step without an image sees one");
    image.lay_over("/usr/share/greeting", "from higher above");
    let again = project.build(&["--sandbox", "podman"]).ok();
    assert_eq!((again.ran(), project.read("there").as_str()), (vec!["there"], "from higher above"));
}

#[test]
fn an_ordinary_user_has_images_too() {
    if !has_podman() {
        return;
    }
    let place = Place::ordinary();
    let image = Image::with_a_compiler(&place);
    let project = hello(&place, &image);
    project.build(&["--sandbox", "podman"]).ok();
    assert!(project.has("bin/hello"));
}

#[test]
fn an_image_that_is_not_there_is_named() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let project = place.project("p", "[step.s]\nimage = 'localhost/nobody:1'\nrun = 'true'\n");
    let refused = project.build(&[]).code(3);
    insta::assert_snapshot!(refused.said(), @r"
    error: the kitchen failed
      caused by: there is no image `localhost/nobody:1` in podman's storage here

    hint: `image` names what steps see instead of this machine's tools
    hint: podman pull localhost/nobody:1, or make it: tar -C FOLDER -c . | podman import - localhost/nobody:1
    ");
}

#[test]
fn an_image_that_is_removed_under_a_step_is_no_failure_of_the_step() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let image = Image::with(&place, "bash coreutils dash");
    image.make_again_with("usr/share/greeting", "hello");
    let gate = Gate::new();
    let project = place.project(
        "p",
        &format!(
            "[step.s]\nimage = '{}'\nnetwork = true\nrun = '''\n{}\ncat /usr/share/greeting > s\n'''\nout = 's'\n",
            image.name,
            gate.command()
        ),
    );
    let building = project.start(&[]);
    let visitor = gate.arrival();
    image.remove();
    visitor.go();
    let failed = building.built().code(3);
    let said = failed.said().replace(&image.name, "IMAGE");
    assert!(
        said.contains(
            "error: the kitchen failed\n  caused by: the image `IMAGE` was removed while a step saw its files\n\n\
             hint: `image` names what steps see instead of this machine's tools\n\
             hint: podman pull IMAGE, or make it again, and build again; nothing was lost\n"
        ),
        "{said}"
    );
    // It is there again.
    image.make_again_with("usr/share/other", "");
    let building = project.start(&[]);
    gate.arrival().go();
    building.built().ok();
    assert_eq!(project.read("s"), "hello");
}
