//! What somebody may have meant.

/// The known word that is nearest to `word`, if one is near enough to be meant; ties go to the first.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_only() {
        let known = ["run", "each", "out", "network"];
        assert_eq!(nearest("netwrok", known), Some("network"));
        assert_eq!(nearest("Run", known), Some("run"));
        assert_eq!(nearest("eahc", known), Some("each"));
        assert_eq!(nearest("image", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
