//! What somebody may have meant.

/// The longest word that is compared: the distance of two words costs the product of their lengths.
const MAX_COMPARED: usize = 200;

/// The known word that is nearest to `word`, if one is near enough to be meant; ties go to the first in sort order.
pub(crate) fn nearest<'a>(word: &[u8], known: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    if word.len() > MAX_COMPARED {
        return None;
    }
    let word = String::from_utf8_lossy(word);
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    let allowed = (length / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_COMPARED)
        .filter_map(|candidate| {
            let candidate = String::from_utf8_lossy(candidate);
            let of = candidate.chars().count();
            if of.abs_diff(length) > allowed {
                return None;
            }
            let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
            (distance <= allowed && distance < of).then(|| (distance, candidate.into_owned()))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_only() {
        let known: [&[u8]; 4] = [b"cxx", b"link", b"phony", b"cc"];
        assert_eq!(nearest(b"cx", known).as_deref(), Some("cc"));
        assert_eq!(nearest(b"lnik", known).as_deref(), Some("link"));
        assert_eq!(nearest(b"Phoney", known).as_deref(), Some("phony"));
        assert_eq!(nearest(b"archive", known), None);
        assert_eq!(nearest(&[b'x'; 300], [&[b'x'; 300][..]]), None);
    }
}
