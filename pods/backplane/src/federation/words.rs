//! Words of other pods that people read: names and reasons. They come onto terminals, and so have nothing in them but what is seen.

use protocol::PodId;

/// The longest name of a pod, in characters.
pub const MAX_NAME: usize = 64;
/// The longest address of a pod, in bytes.
pub const MAX_ADDRESS: usize = 256;
/// The longest reason that another pod gives, in characters.
pub const MAX_REASON: usize = 300;

/// Neither a control character nor one that hides or turns what stands beside it.
fn is_seen(c: char) -> bool {
    let hides =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !hides
}

/// Whether a pod may be called so: people can read it, and it is no pod's id, by which another one could be meant.
pub fn is_name(text: &str) -> bool {
    let is_short = text.chars().nth(MAX_NAME).is_none();
    is_short && !text.trim().is_empty() && text.chars().all(is_seen) && text.parse::<PodId>().is_err()
}

/// Of what another pod wrote what can be seen, and no more of it than that.
pub fn readable(text: &str, most: usize) -> String {
    text.chars().filter(|c| is_seen(*c)).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_by_people_and_is_no_id() {
        for good in ["a", "Anna's laptop", "pod-1.example.org", "küche", &"x".repeat(MAX_NAME)] {
            assert!(is_name(good) && readable(good, MAX_NAME) == good, "{good}");
        }
        let id = PodId::from_bytes([1; 32]).to_string();
        for bad in ["", "  ", "a\x1b[2Jb", "a\nb", "\u{202e}abc", &"x".repeat(MAX_NAME + 1), &id] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert_eq!(readable("\x1b[2Jno\r\n\u{9b}31m", 5), "[2Jno");
    }
}
