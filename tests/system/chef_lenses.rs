//! Projections and normalisers that chefs bring: asked once for equal bytes, and named when they fail.

use std::fs;
use std::path::Path;

use crate::common::private_mounts::{small_disk, unshare_mounts};
use crate::common::{Place, Project};

const PAGE: &str = include_str!("../../docs/how-to/write-a-chef.md");

/// The chef of the book that brings a projection and a normaliser.
fn ini() -> &'static str {
    PAGE.split("```python\n").nth(2).and_then(|rest| rest.split("```\n").next()).unwrap()
}

/// The step that the book shows with it.
fn step() -> &'static str {
    let (_, after) = PAGE.split_once("Once it is registered").unwrap();
    after.split("```toml\n").nth(1).and_then(|rest| rest.split("```\n").next()).unwrap()
}

fn add(place: &Place, program: &str) {
    let tools = place.project("tools", "");
    tools.write("ini.py", program);
    tools.chmod("ini.py", 0o755);
    place.pod(&["chef", "add", tools.at("ini.py").to_str().unwrap()]).ok();
}

fn project<'p>(place: &'p Place, name: &str) -> Project<'p> {
    let project = place.project(name, step());
    project.write("a.ini", "# why\nx = 1\n");
    project
}

#[test]
fn what_a_chefs_projection_leaves_out_wakes_nobody() {
    let place = Place::new();
    add(&place, ini());
    let project = project(&place, "p");
    let built = project.builds(&["report"]);
    assert_eq!(built.notes(), Vec::<&str>::new());
    assert_eq!(project.read("a.report"), "1\n", "in its normal form");
    project.builds(&[]);
    project.write("a.ini", "# why not\n# twice\nx = 1\n");
    project.builds(&[]);
    let status = project.ask("status", &[]).ok();
    assert!(status.stdout.contains("nothing to do"), "{}", status.stdout);
    let why = project.ask("why", &["report"]).ok();
    assert!(why.stdout.contains("ini:settings"), "{}", why.stdout);
    project.write("a.ini", "x = 1\ny = 2\n");
    let status = project.ask("status", &[]).ok();
    assert!(!status.stdout.contains("nothing to do"), "who looks asks, too: {}", status.stdout);
    assert_eq!(project.builds(&["report"]).reason("report"), "a.ini changed");
    assert_eq!(project.read("a.report"), "2\n");
    // What it writes differs each time, and its normal form does not.
    project.write("a.ini", "x = 1\nz = 2\n");
    let again = project.builds(&["report"]);
    assert_eq!(again.count("written"), 0);
    place.assert_nothing_left();
}

#[test]
fn equal_bytes_are_asked_about_once() {
    if !unshare_mounts() {
        return;
    }
    // A folder of tools without which the chef does not answer.
    small_disk(Path::new("/mnt"), 1024);
    fs::write("/mnt/answers", "").unwrap();
    let place = Place::new();
    add(&place, &ini().replace("import json, sys\n", "import json, sys\nopen('/mnt/answers')\n"));
    let first = project(&place, "p");
    first.write("majordomo.toml", format!("[tools]\nroots = ['/mnt']\n{}", step()));
    first.builds(&["report"]);
    first.write("a.ini", "# other\nx = 1\n");
    first.builds(&[]);
    fs::remove_file("/mnt/answers").unwrap();
    // Neither of the two, wherever they are.
    first.write("a.ini", "# why\nx = 1\n");
    assert_eq!(first.builds(&[]).notes(), Vec::<&str>::new());
    let second = project(&place, "q");
    second.write("majordomo.toml", first.read("majordomo.toml"));
    assert_eq!(second.builds(&[]).notes(), Vec::<&str>::new());
    // Of what was never seen all counts, and that is said with its reason.
    second.write("a.ini", "# new\nx = 1\n");
    let built = second.build(&[]).failed();
    let said = built.notes().join("\n");
    assert!(
        said.contains(
            "`ini:settings` does not say what matters of `a.ini`, so all of it does: exit code 1: "
        ),
        "{said}"
    );
    let failure = built.failure("report");
    assert!(
        failure.starts_with("`a.report` has no normal form: `ini:undated` does not say it: "),
        "{failure}"
    );
}

#[test]
fn many_files_are_asked_about_together() {
    let place = Place::new();
    add(&place, ini());
    let project = place.project("p", "[step.all]\nrun = 'cat *.ini | grep -c = > all'\nproject = { \"*.ini\" = \"ini:settings\" }\nout = \"all\"\n");
    // More than one run takes.
    for number in 0..70 {
        project.write(format!("{number}.ini"), format!("# {number}\nx = {number}\n"));
    }
    project.builds(&["all"]);
    assert_eq!(project.read("all"), "70\n");
    for number in 0..70 {
        project.write(format!("{number}.ini"), format!("x = {number}\n# {number}, changed\n"));
    }
    project.builds(&[]);
    project.write("69.ini", "x = 70\n");
    assert_eq!(project.builds(&["all"]).reason("all"), "69.ini changed");
}

#[test]
fn another_version_of_the_chef_is_another_lens() {
    let place = Place::new();
    add(&place, ini());
    let project = project(&place, "p");
    project.builds(&["report"]);
    // The list of chefs is what a build depends on, and so is what it says of this one.
    add(&place, &ini().replace("\"1.0\"", "\"1.1\""));
    let built = project.build(&[]).ok();
    assert_eq!(built.ran(), ["report"]);
    assert_eq!(built.reason("report"), "its `normalise` changed, and 1 more of its key");
    place.pod(&["chef", "disable", "ini"]).ok();
    let disabled = project.build(&[]).code(2);
    assert!(disabled.said().contains("it is disabled: `pod chef enable ini`"), "{}", disabled.said());
    place.pod(&["chef", "remove", "ini"]).ok();
    let gone = project.build(&[]).code(2);
    let said = gone.said();
    assert!(
        said.contains("majordomo.toml:3:23: `ini:settings` is no projection that a chef brings"),
        "{said}"
    );
    assert!(said.contains("there is no such chef"), "{said}");
}

#[test]
fn lenses_that_there_are_not_are_named() {
    let place = Place::new();
    add(&place, ini());
    let project = project(&place, "p");
    project.replace("majordomo.toml", "ini:settings", "ini:setings");
    let said = project.build(&[]).code(2).said().to_owned();
    assert!(said.contains("of the chef `ini` there are `settings`"), "{said}");
    project.replace("majordomo.toml", "ini:setings", "make:settings");
    let said = project.build(&[]).code(2).said().to_owned();
    assert!(said.contains("the chef `make` brings no projection"), "{said}");
    project.replace("majordomo.toml", "make:settings", "settings");
    let said = project.build(&[]).code(2).said().to_owned();
    assert!(said.contains("unknown projection `settings`"), "{said}");
    let shown = place.pod(&["chef", "show", "ini"]).ok().stdout;
    assert!(shown.contains("projections settings\n") && shown.contains("undated for **/*.report"), "{shown}");
}

/// A folder of the project may be the chef, and a plan may name what its own chef brings.
#[test]
fn the_chef_that_plans_brings_its_lenses() {
    let place = Place::new();
    let project = place.project("p", "[project]\nchef = './tools/ini.py'\n");
    let plan = r#"{"answer": "detect", "sure": 60, "plan": {"file": {"step": {"count": {
        "run": "grep -c = a.ini > count", "out": "count", "project": {"*.ini": "ini:settings"}}}}}}"#;
    project.write("tools/ini.py", ini().replace(r#"{"answer": "detect", "sure": 0}"#, plan));
    project.chmod("tools/ini.py", 0o755);
    project.write("a.ini", "# why\nx = 1\n");
    project.builds(&["chef:ini", "count"]);
    project.builds(&[]);
    project.write("a.ini", "x = 1\n# why not\n");
    project.builds(&[]);
    project.write("a.ini", "x = 1\ny = 1\n");
    project.builds(&["count"]);
    assert!(project.ask("status", &[]).ok().stdout.contains("nothing to do"));
    // The same by a file that says the steps.
    let other = place.project("q", step());
    other.replace("majordomo.toml", "ini:settings", "./tools/ini.py:settings");
    other.replace("majordomo.toml", "ini:undated", "./tools/ini.py:undated");
    other.write("tools/ini.py", ini());
    other.chmod("tools/ini.py", 0o755);
    other.write("a.ini", "# why\nx = 1\n");
    other.builds(&["report"]);
    other.write("a.ini", "# why not\nx = 1\n");
    other.builds(&[]);
    other.append("tools/ini.py", "# another version\n");
    other.builds(&["report"]);
}

const READER: &str =
    "[step.x]\nrun = 'cat *.ini > x'\nout = 'x'\nproject = { \"*.ini\" = \"ini:settings\" }\n";

#[test]
fn a_bad_projection_is_taken_for_none_and_named() {
    let place = Place::new();
    let bad = "import json, sys\n\
               try: text = open('file').read()\n\
               except FileNotFoundError: text = ''\n\
               if 'crash' in text: sys.exit('boom')\n\
               if 'flood' in text:\n    while True: print('x' * 65536)\n\
               if 'nonsense' in text: print('hello'); sys.exit()\n\
               if 'version' in text: print('{\"protocol\": 9}'); sys.exit()\n\
               if 'other' in text: print('{\"protocol\": 1, \"answer\": \"detect\", \"sure\": 1}'); sys.exit()\n\
               if 'nofile' in text: print('{\"protocol\": 1, \"answer\": \"project\", \"file\": \"x\"}'); sys.exit()\n";
    add(&place, &ini().replace("import json, sys\n", bad));
    let project = place.project("p", READER);
    for (word, why) in [
        ("crash", "exit code 1: boom"),
        ("flood", "it wrote more than 64 MiB"),
        ("nonsense", "it is not in the form of the chefs' protocol"),
        ("version", "version 9 of the chefs' protocol"),
        ("other", "it answered another question"),
        ("nofile", "it says that the answer is in `x`, and wrote no such file"),
    ] {
        project.write("a.ini", format!("# 1\n{word}\n"));
        let built = project.builds(&["x"]);
        let said = built.notes().join("\n");
        let lens = "`ini:settings` does not say what matters of `a.ini`, so all of it does: ";
        assert!(said.contains(lens) && said.contains(why), "{word}: {said}");
        project.builds(&[]);
        // All of it matters.
        project.write("a.ini", format!("# 2\n{word}\n"));
        project.builds(&["x"]);
    }
    // It answers for others.
    project.write("a.ini", "# 1\nx = 1\n");
    project.builds(&["x"]);
    project.write("a.ini", "# 2\nx = 1\n");
    assert_eq!(project.builds(&[]).notes(), Vec::<&str>::new());
    place.assert_nothing_left();
}

#[test]
fn a_projection_that_hangs_is_waited_for_once() {
    let place = Place::new();
    let hang = "import json, sys, time\ntime.sleep(1000)\n";
    let program =
        ini().replace("import json, sys\n", hang).replace("# projections", "# timeout = 1\n# projections");
    add(&place, &program);
    let project = place.project("p", READER);
    project.write("a.ini", "# 1\nx = 1\n");
    project.write("b.ini", "# 1\nx = 1\ny = 1\n");
    let built = project.builds(&["x"]);
    let said = built.notes().join("\n");
    assert_eq!(said.matches("it has not answered within 1 s").count(), 2, "{said}");
    project.write("a.ini", "# 2\nx = 1\n");
    project.builds(&["x"]);
}

#[test]
fn a_step_whose_output_has_no_normal_form_fails() {
    let place = Place::new();
    let bad = "import json, sys\nif 'crash' in open('file').read(): sys.exit('boom')\n";
    add(&place, &ini().replace("import json, sys\n", bad));
    let steps = "[step.x]\nrun = 'cat a > x.report'\nout = 'x.report'\nnormalise = \"ini:undated\"\n";
    let project = place.project("p", steps);
    project.write("a", "crash\n");
    for _ in 0..2 {
        let failed = project.build(&[]).failed();
        assert_eq!(
            failed.failure("x"),
            "`x.report` has no normal form: `ini:undated` does not say it: exit code 1: boom"
        );
        assert!(!project.has("x.report"));
    }
    project.write("a", "good\nwritten now\n");
    project.builds(&["x"]);
    assert_eq!(project.read("x.report"), "good\n");
}

/// What is no text is left in a file, and what needs no rewriting stays.
#[test]
fn a_normal_form_may_be_bytes() {
    let place = Place::new();
    let bytes = "    data = open('file', 'rb').read()\n    \
                 open('normal', 'wb').write(data.replace(b'\\xff', b'\\x00'))\n    \
                 answer = {'answer': 'normalise', **({'file': 'normal'} if b'\\xff' in data else {})}\n";
    let (before, rest) = ini().split_once("    lines = ").unwrap();
    let (_, after) = rest.split_once("\"text\": text}\n").unwrap();
    add(&place, &format!("{before}{bytes}{after}"));
    let steps = "[step.x]\nrun = '''printf 'a\\377b' > x; printf 'a\\001b' > y'''\nout = ['x', 'y']\nnormalise = { \"?\" = \"ini:undated\" }\n";
    let project = place.project("p", steps);
    project.builds(&["x"]);
    assert_eq!(project.read("x"), "a\0b");
    assert_eq!(project.read("y"), "a\u{1}b");
}
