//! How steps end: by themselves, by time-out, by cancel; and what comes of their output.

#[cfg(test)]
mod common;

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use kitchen::{HowEnded, Line};
    use tokio::sync::{mpsc, oneshot};

    use crate::common::{Fixture, sh};

    async fn fixture() -> Fixture {
        Fixture::start(env!("CARGO_BIN_EXE_kitchen-zygote")).await.unwrap()
    }

    /// Whether a process of this command line is there.
    fn runs(words: &str) -> bool {
        let line = words.replace(' ', "\0");
        std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
            std::fs::read(process.path().join("cmdline"))
                .is_ok_and(|found| String::from_utf8_lossy(&found).trim_end_matches('\0') == line)
        })
    }

    #[tokio::test]
    async fn lines_come_while_the_step_runs_and_cancel_ends_it() {
        let fixture = fixture().await;
        let (sender, mut lines) = mpsc::channel(1);
        let (cancel, cancelled) = oneshot::channel::<()>();
        let run = fixture.kitchen.run(sh("echo first; printf partial >&2; sleep 91827"), sender, async {
            cancelled.await.unwrap();
        });
        let watch = async {
            assert_eq!(lines.recv().await.unwrap().text(), b"first");
            while !runs("sleep 91827") {
                tokio::task::yield_now().await;
            }
            cancel.send(()).unwrap();
            assert_eq!(lines.recv().await.unwrap().bytes, b"partial");
            assert_eq!(lines.recv().await, None);
        };
        let (ended, ()) = tokio::join!(run, watch);
        assert_eq!(ended.unwrap().how, HowEnded::Cancelled);
        assert!(!runs("sleep 91827"));
    }

    #[tokio::test]
    async fn time_out_ends_a_tree_that_does_not_want_to_end() {
        let fixture = fixture().await;
        let mut order =
            sh("trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM; sleep 81726 & sleep 81726' &) ; \
                            echo kept > file; echo said; sleep 81726");
        order.timeout = Some(Duration::from_secs(1));
        let (ended, output) = fixture.run(order).await;
        assert_eq!((ended.how, output.as_str()), (HowEnded::TimedOut, "said\n"));
        assert!(!runs("sleep 81726"));
        assert_eq!(std::fs::read(ended.upper.path().join("file")).unwrap(), b"kept\n");
        assert!(ended.usage.wall >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn the_time_out_of_a_held_step_stands_still() {
        let fixture = fixture().await;
        let mut order = sh("echo held; sleep 0.3; echo done");
        order.timeout = Some(Duration::from_millis(200));
        let paused = order.clock.pause();
        assert_eq!(fixture.run(order.clone()).await.0.how, HowEnded::Exit(0));
        drop(paused);
        assert_eq!(fixture.run(order).await.0.how, HowEnded::TimedOut);
    }

    #[tokio::test]
    async fn what_a_step_leaves_running_ends_with_it() {
        let fixture = fixture().await;
        let (ended, output) = fixture.sh("sleep 71625 & setsid -f sleep 71625; echo left").await;
        assert_eq!((ended.how, output.as_str()), (HowEnded::Exit(0), "left\n"));
        assert!(!runs("sleep 71625"));
    }

    #[tokio::test]
    async fn a_dropped_future_ends_its_step() {
        let fixture = fixture().await;
        let (sender, mut lines) = mpsc::channel(1);
        {
            let run = fixture.kitchen.run(sh("echo up; sleep 61524"), sender, pending());
            tokio::pin!(run);
            tokio::select! {
                _ = &mut run => panic!("it ended"),
                line = lines.recv() => assert_eq!(line.unwrap().text(), b"up"),
            }
        }
        fixture.kitchen.settled().await;
        assert!(!runs("sleep 61524"));
    }

    #[tokio::test]
    async fn output_waits_for_its_reader_and_time_out_does_not() {
        let fixture = fixture().await;
        let (sender, mut lines) = mpsc::channel::<Line>(1);
        let mut order = sh("yes");
        order.timeout = Some(Duration::from_millis(100));
        let paused = order.clock.pause();
        let run = fixture.kitchen.run(order, sender, pending());
        tokio::pin!(run);
        tokio::select! {
            ended = &mut run => panic!("it ended: {ended:?}"),
            line = lines.recv() => assert_eq!(line.unwrap().text(), b"y"),
        }
        drop(paused);
        // Nobody reads: the step is held by its full pipe, then killed, and its output still waits.
        assert!(tokio::time::timeout(Duration::from_millis(400), &mut run).await.is_err());
        assert!(!runs("yes"));
        let read = async {
            let mut count = 0;
            while let Some(line) = lines.recv().await {
                assert_eq!(line.text(), b"y");
                count += 1;
            }
            count
        };
        let (ended, count) = tokio::join!(run, read);
        assert_eq!(ended.unwrap().how, HowEnded::TimedOut);
        assert!(count > 1000, "{count}");
    }

    #[tokio::test]
    async fn unwanted_output_is_dropped() {
        let fixture = fixture().await;
        let (sender, lines) = mpsc::channel(1);
        drop(lines);
        let ended = fixture.kitchen.run(sh("seq 100000; exit 3"), sender, pending()).await.unwrap();
        assert_eq!(ended.how, HowEnded::Exit(3));
    }

    #[tokio::test]
    async fn usage_counts_what_was_used() {
        let fixture = fixture().await;
        let (ended, _) = fixture.sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").await;
        assert!(ended.usage.user > Duration::from_millis(20), "{:?}", ended.usage);
        assert!(ended.usage.max_rss > 100_000 && ended.usage.wall >= ended.usage.user, "{:?}", ended.usage);
    }
}
