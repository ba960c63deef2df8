//! Counts words.

use std::collections::BTreeMap;

/// How often each word comes.
pub fn words(text: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_word_counts() {
        let counts = super::words("a b  a\n");
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
    }
}
