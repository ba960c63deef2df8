//! Subjects and patterns: which there are, and which matches which.

use super::{BusError, LOG, MAX_MESSAGE, MAX_RECORD};

/// The longest subject or pattern, root not counted.
pub const MAX_SUBJECT: usize = 200;

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether something can be sent to it.
pub fn is_subject(text: &str) -> bool {
    text.len() <= MAX_SUBJECT && text.split('.').all(is_token)
}

/// Whether it can be listened to.
pub fn is_pattern(text: &str) -> bool {
    let mut tokens: Vec<&str> = text.split('.').collect();
    if tokens.last() == Some(&">") {
        tokens.pop();
    }
    text.len() <= MAX_SUBJECT && tokens.iter().all(|token| *token == "*" || is_token(token))
}

/// Whether a subject is one of a pattern's.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut subject = subject.split('.');
    for token in pattern.split('.') {
        match (token, subject.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (token, Some(other)) if token == other => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

pub(crate) fn check_message(subject: &str, size: usize) -> Result<(), BusError> {
    check(subject, is_subject(subject), size, MAX_MESSAGE)
}

pub(crate) fn check_record(subject: &str, size: usize) -> Result<(), BusError> {
    let below = subject.strip_prefix(LOG).is_some_and(|rest| rest.starts_with('.'));
    check(subject, below && is_subject(subject), size, MAX_RECORD)
}

fn check(subject: &str, good: bool, size: usize, bound: usize) -> Result<(), BusError> {
    if !good {
        return Err(BusError::BadSubject(subject.chars().take(MAX_SUBJECT).collect()));
    }
    if size > bound {
        return Err(BusError::TooLarge { subject: subject.to_owned(), size, bound });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_nats_has_it() {
        for (pattern, subject, wanted) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*.c", "a.b.c", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
        ] {
            assert_eq!(matches(pattern, subject), wanted, "{pattern} {subject}");
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for bad in ["", ".", "a.", "a..b", "a b", "a.*", ">", "ä", "a\r\nPUB b 0", &"a".repeat(201)] {
            assert!(!is_subject(bad), "{bad}");
        }
        assert!(is_pattern("a.*.>") && !is_pattern("a.>.b") && !is_pattern("a*.b"));
        assert!(check_record("beat.x", 0).is_err() && check_record("logs.x", 0).is_err());
        assert!(check_record("log.x", MAX_RECORD).is_ok() && check_record("log.x", MAX_RECORD + 1).is_err());
    }
}
