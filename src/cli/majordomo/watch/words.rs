//! What is said between builds.

use crate::words::counted;

/// Why there is another build.
pub(super) fn changed(what: &[String], more: u64, superseded: bool) -> String {
    let again = if superseded { "starting again, changed" } else { "changed" };
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{again}: {}{more}", what.join(", "))
}

/// What is waited for; the first time with figures.
pub(super) fn waiting(paths: u64, upstream: u64, poll_ms: Option<u64>, first: bool) -> String {
    if !first {
        return "watching".to_owned();
    }
    let mut text = format!("watching {} of the project", counted(paths, "path"));
    match poll_ms {
        Some(ms) => text.push_str(&format!(", all of them every {ms} ms")),
        None if upstream > 0 => {
            text.push_str(&format!(" and {} of tools and headers", counted(upstream, "folder")));
        }
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let names = ["src/a.c".to_owned(), "bin/hello is gone".to_owned()];
        assert_eq!(changed(&names, 0, false), "changed: src/a.c, bin/hello is gone");
        assert_eq!(changed(&names[..1], 3, true), "starting again, changed: src/a.c and 3 more");
        assert_eq!(
            waiting(35, 4, None, true),
            "watching 35 paths of the project and 4 folders of tools and headers"
        );
        assert_eq!(
            waiting(1, 0, Some(500), true),
            "watching 1 path of the project, all of them every 500 ms"
        );
        assert_eq!(waiting(35, 4, None, false), "watching");
    }
}
