//! The text of a PDF that pdfTeX wrote with [`PLAIN`]: enough to see what a reader would see, and no more.

/// What a document begins with, so that its text can be found.
pub const PLAIN: &str = "\\pdfcompresslevel=0 \\pdfobjcompresslevel=0\n";

/// Kerns from here on are spaces between words (thousandths of the font's size).
const SPACE: f64 = -250.0;

/// The words on its pages, line by line, a space between two.
#[track_caller]
pub fn text(pdf: &[u8]) -> String {
    assert!(pdf.starts_with(b"%PDF-"), "no PDF");
    let mut text = String::new();
    for line in pdf.split(|&byte| byte == b'\n') {
        let mut rest = line;
        // `[(W)83(ord)-333(next)]TJ`: ISO 32000-1, 9.4.3.
        while let Some(end) = find(rest, b"]TJ") {
            let begin = rest[..end].iter().rposition(|&byte| byte == b'[').map_or(0, |at| at + 1);
            show(&rest[begin..end], &mut text);
            text.push(' ');
            rest = &rest[end + 3..];
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Strings in brackets, and kerns between them.
fn show(mut array: &[u8], text: &mut String) {
    while let Some((&first, rest)) = array.split_first() {
        array = rest;
        if first != b'(' {
            let end = rest.iter().position(|&byte| byte == b'(').unwrap_or(rest.len());
            let kern = [&[first], &rest[..end]].concat();
            if String::from_utf8_lossy(&kern).trim().parse().is_ok_and(|kern: f64| kern < SPACE) {
                text.push(' ');
            }
            array = &rest[end..];
            continue;
        }
        while let Some((&byte, rest)) = array.split_first() {
            array = rest;
            match byte {
                b')' => break,
                b'\\' if array.len() >= 3 && array[..3].iter().all(u8::is_ascii_digit) => {
                    let code = array[..3].iter().fold(0u32, |code, digit| code * 8 + u32::from(digit - b'0'));
                    array = &array[3..];
                    glyph(code as u8, text);
                }
                b'\\' => {
                    glyph(array.first().copied().unwrap_or(b'\\'), text);
                    array = array.get(1..).unwrap_or_default();
                }
                byte => glyph(byte, text),
            }
        }
    }
}

/// A glyph of TeX's encoding OT1, as far as it is not ASCII.
fn glyph(code: u8, text: &mut String) {
    match code {
        0o13 => text.push_str("ff"),
        0o14 => text.push_str("fi"),
        0o15 => text.push_str("fl"),
        0o16 => text.push_str("ffi"),
        0o17 => text.push_str("ffl"),
        0o173 => text.push('-'),
        code => text.push(char::from(code)),
    }
}

#[test]
fn text_of_strings_with_kerns_ligatures_and_escapes() {
    let pdf = b"%PDF-1.5\nBT\n/F1 9.9 Tf 148 707 Td [(There)-333(are)-334(sev)28(en)]TJ 1 -5 Td [(\\014v)27(e)]TJ\n\
                [(\\(so\\))]TJ\nET\n";
    assert_eq!(text(pdf), "There are seven five (so)");
}
