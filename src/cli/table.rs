//! Tables for people: columns two spaces apart, cut to the screen where there is one.

use crate::words;

/// The least that a cut column keeps.
const NARROWEST: usize = 8;

/// Lays rows out, each indented by two spaces. Where `width` is known, the widest columns are cut in their middle until
/// a row fits. The last column is not padded.
pub fn table<const N: usize>(rows: &[[String; N]], width: Option<usize>) -> String {
    let mut widths = [0usize; N];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.chars().count());
        }
    }
    if let Some(width) = width {
        let room = width.saturating_sub(2 * N);
        while widths.iter().sum::<usize>() > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("  {:width$}", words::fit(cell, width)));
        }
        words::line(&mut text, line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_widest_is_cut() {
        let rows = [
            ["usr/include/x86_64-linux-gnu/bits/types.h".to_owned(), "content".into(), "b3:01234567".into()],
            ["project/a".to_owned(), "probe".into(), "absent".into()],
        ];
        insta::assert_snapshot!(table(&rows, None), @r"
          usr/include/x86_64-linux-gnu/bits/types.h  content  b3:01234567
          project/a                                  probe    absent
        ");
        let narrow = table(&rows, Some(40));
        insta::assert_snapshot!(narrow, @r"
          usr/i…ts/types.h  content  b3:01234567
          project/a         probe    absent
        ");
        assert!(narrow.lines().all(|line| line.chars().count() <= 40));
    }
}
