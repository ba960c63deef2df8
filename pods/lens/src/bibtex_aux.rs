//! `bibtex-aux`: the lines of an `.aux` file that BibTeX acts on.
//!
//! BibTeX takes what stands before the first `{` of a line, and acts if that is `\citation`, `\bibdata`, `\bibstyle` or
//! `\@input` – as it stands, from the first byte, in this case – and skips the line otherwise (bibtex.web, "Reading the
//! auxiliary file"; bibtex8, BibTeXu and pBibTeX share it). Lines that it acts on are kept as they are, in their
//! order; the files that `\@input` names are files of their own, with observations of their own. A carriage return
//! ends a line too: not every implementation reads it so, but then a line too much is kept, never one too few.

use crate::lens::{LensId, Projection, Role};

const COMMANDS: [&[u8]; 4] = [b"\\citation", b"\\bibdata", b"\\bibstyle", b"\\@input"];

#[derive(Debug)]
pub(crate) struct BibtexAux(LensId);

impl BibtexAux {
    pub const NAME: &str = "bibtex-aux";

    pub fn new() -> Self {
        let (name, parameters) = (Self::NAME.to_owned(), String::new());
        Self(LensId { role: Role::Projection, name, version: 1, parameters })
    }
}

impl Projection for BibtexAux {
    fn id(&self) -> &LensId {
        &self.0
    }

    fn project(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut left = Vec::new();
        for line in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let acts = memchr::memchr(b'{', line).is_some_and(|brace| COMMANDS.contains(&&line[..brace]));
            if acts {
                left.extend_from_slice(line);
                left.push(b'\n');
            }
        }
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        String::from_utf8(BibtexAux::new().project(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn lines_that_bibtex_acts_on() {
        let aux = "\\relax \n\\citation{knuth,lamport}\n\\@writefile{toc}{\\contentsline {section}{\\citation{x}}{3}{}}\n\
            \\newlabel{a}{{1}{7}}\n\\@input{chapter.aux}\n\\bibstyle{plain}\n\\bibdata{all}\n\\bibcite{knuth}{1}\n\
            \\gdef \\@abspage@last{58}\n";
        assert_eq!(
            left(aux),
            "\\citation{knuth,lamport}\n\\@input{chapter.aux}\n\\bibstyle{plain}\n\\bibdata{all}\n"
        );
    }

    #[test]
    fn what_bibtex_skips() {
        assert_eq!(left(" \\citation{a}\n\\Citation{a}\n\\citation\n\\citation {a}\nx\\citation{a}"), "");
    }

    #[test]
    fn order_and_the_rest_of_the_line_matter() {
        assert_ne!(left("\\citation{a}\n\\citation{b}\n"), left("\\citation{b}\n\\citation{a}\n"));
        assert_ne!(left("\\citation{a}x\n"), left("\\citation{a}\n"));
        assert_eq!(left("\\citation{a}"), left("\\citation{a}\r\n"));
    }
}
