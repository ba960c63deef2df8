//! Whom a project is given to.

use protocol::chef::Detected;

/// Who is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picked {
    /// This one.
    One(usize),
    /// None of these is surer than the others.
    Tie(Vec<usize>),
    /// Nobody knows it.
    Nobody,
}

/// The surest of those that have answered.
pub fn surest<'a>(answers: impl IntoIterator<Item = (usize, &'a Detected)>) -> Picked {
    let mut best = (1, Vec::new());
    for (chef, Detected { sure, .. }) in answers {
        if *sure > best.0 {
            best = (*sure, vec![chef]);
        } else if *sure == best.0 {
            best.1.push(chef);
        }
    }
    match best.1.as_slice() {
        [] => Picked::Nobody,
        [one] => Picked::One(*one),
        _ => Picked::Tie(best.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_is_taken_and_who_is_not_sure_at_all_is_not() {
        let picked = |sure: &[u8]| {
            let answers: Vec<Detected> =
                sure.iter().map(|&sure| Detected { sure, ..Detected::default() }).collect();
            surest(answers.iter().enumerate())
        };
        assert_eq!(picked(&[]), Picked::Nobody);
        assert_eq!(picked(&[0, 0]), Picked::Nobody);
        assert_eq!(picked(&[0, 1]), Picked::One(1));
        assert_eq!(picked(&[1, 1, 0]), Picked::Tie(vec![0, 1]));
        assert_eq!(picked(&[50, 80, 50]), Picked::One(1));
        assert_eq!(picked(&[80, 50, 80]), Picked::Tie(vec![0, 2]));
    }
}
