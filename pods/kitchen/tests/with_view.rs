//! Kitchen and view together: a traced compilation over the tools of this machine.

#[cfg(test)]
mod common;

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::time::Instant;

    use kitchen::{HowEnded, Kitchen, Options, ZygoteProgram};
    use protocol::{Look, RelPath};
    use tokio::runtime::Handle;
    use tokio::sync::mpsc;
    use view::{Flavour, HostOptions, HostTools, MemorySource, Mount, NoMemo, Source};

    use crate::common::{collect, engine, sh};

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    struct Both {
        kitchen: Kitchen,
        tools: Mount,
        project: Mount,
        host: Arc<dyn Source>,
        _home: tempfile::TempDir,
    }

    async fn both() -> Both {
        let home = tempfile::tempdir().unwrap();
        let zygote =
            ZygoteProgram { program: env!("CARGO_BIN_EXE_kitchen-zygote").into(), arguments: vec![] };
        let (kitchen, fuse) = Kitchen::start(Options {
            zygote,
            engine: engine(home.path()),
            scratch: home.path().join("scratch"),
        })
        .await
        .unwrap();
        let (uid, gid) = kitchen.step_uid();
        let options = || view::Options { uid, gid, ..view::Options::default() };
        let tools = Mount::serve(fuse.tools, Flavour::Tools, options(), Handle::current()).unwrap();
        let project = Mount::serve(fuse.project, Flavour::Project, options(), Handle::current()).unwrap();
        let host = Arc::new(HostTools::new(HostOptions::default(), Arc::new(NoMemo)).unwrap());
        Both { kitchen, tools, project, host, _home: home }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_compilation_is_traced() {
        if !std::fs::exists("/usr/bin/gcc").unwrap() {
            println!("skipped: there is no gcc");
            return;
        }
        let both = both().await;
        let source = Arc::new(MemorySource::new());
        source.file(
            &path("src/a.c"),
            &b"#include <stdio.h>\n#include \"a.h\"\nint main(void) { return puts(A) < 0; }\n"[..],
        );
        source.file(&path("src/a.h"), &b"#define A \"seen\"\n"[..]);
        for name in 1..=3 {
            let tools = both.tools.add_root(name, both.host.clone()).unwrap();
            let project = both.project.add_root(name, source.clone()).unwrap();
            let mut order = sh("gcc -o out/a src/a.c && out/a && whoami && ls -l src/a.h");
            order.root = name;
            order.make_dirs = vec![path("out")];
            let (sender, lines) = mpsc::channel(8);
            let begun = Instant::now();
            let (ended, output) = tokio::join!(both.kitchen.run(order, sender, pending()), collect(lines));
            println!("{:?} of wall time, {:?}", begun.elapsed(), ended.as_ref().unwrap().usage);
            assert!(
                output.starts_with("seen\nbuild\n-rw-r--r-- 1 build build 17 Jan  1  2000 src/a.h\n"),
                "{output}"
            );
            let ended = ended.unwrap();
            assert_eq!(ended.how, HowEnded::Exit(0));
            assert!(ended.upper.path().join("out/a").is_file());
            assert!(tools.failures().is_empty() && project.failures().is_empty());
            let seen = project.observed();
            assert!(seen.contains(&(path("src/a.h"), Look::Content)), "{seen:?}");
            let seen = tools.observed();
            assert!(seen.contains(&(path("usr/include/stdio.h"), Look::Content)), "{seen:?}");
            println!(
                "{:?}",
                seen.iter().filter(|(path, _)| !path.as_bytes().starts_with(b"usr")).collect::<Vec<_>>()
            );
        }
    }
}
