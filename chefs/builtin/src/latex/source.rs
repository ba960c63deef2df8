//! What a LaTeX file says, as far as a plan depends on it. A reader of commands, not of TeX: what macros would make of the
//! text is not known.

/// One file's words.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Source {
    /// What a comment at the top asks for: `% !TEX program = xelatex`.
    pub program: Option<String>,
    /// The class, if it has `\documentclass`.
    pub class: Option<String>,
    /// Whether the document begins in it.
    pub begins: bool,
    /// Packages that it loads, each with its options, in which there is no white space.
    pub packages: Vec<(String, String)>,
    /// Options that it gives to packages which are loaded elsewhere.
    pub passed: Vec<(String, String)>,
    /// The class that it builds upon, if it is one itself.
    pub loads_class: Option<String>,
    /// Files that it takes in, as written.
    pub inputs: Vec<String>,
    /// Of them, those that get an `.aux` of their own.
    pub included: Vec<String>,
    /// What it shows as figures, as written: `\includegraphics`, `\includepdf`.
    pub figures: Vec<String>,
    /// Files that it writes itself if they are not there, as written: `\begin{filecontents}`.
    pub writes: Vec<String>,
    /// `\bibliography`.
    pub has_bibliography: bool,
    /// `\cite` of any kind, or `\nocite`.
    pub cites: bool,
    /// `\makeindex`, which writes down what belongs into an index.
    pub makes_index: bool,
    /// `\printindex`.
    pub prints_index: bool,
    /// `\makeglossaries`.
    pub makes_glossaries: bool,
    /// `\makenomenclature`.
    pub makes_nomenclature: bool,
}

/// Lines at the top in which comments to programs stand.
const TOP: usize = 20;

impl Source {
    /// Reads one.
    pub fn read(text: &str) -> Self {
        let program = text.lines().take(TOP).find_map(program);
        let mut source = Self { program, ..Self::default() };
        let code: String = text.lines().map(code).collect::<Vec<_>>().join("\n");
        let mut rest = code.as_str();
        while let Some(at) = rest.find('\\') {
            rest = &rest[at + 1..];
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            source.command(name, after);
            // `\\` is a line break, and no backslash of what follows.
            rest = if end == 0 { rest.get(1..).unwrap_or_default() } else { after };
        }
        source
    }

    fn command(&mut self, name: &str, after: &str) {
        let words = |text: &str| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
        match name {
            "documentclass" => self.class = arguments(after).map(|(_, class)| class.trim().to_owned()),
            "begin" => match after
                .split_once('}')
                .and_then(|(name, after)| Some((name.trim_start().strip_prefix('{')?, after)))
            {
                Some(("document", _)) => self.begins = true,
                Some(("filecontents" | "filecontents*", after)) => {
                    self.writes.extend(arguments(after).map(|(_, file)| file.trim().to_owned()));
                }
                _ => {}
            },
            "usepackage" | "RequirePackage" => {
                let Some((options, names)) = arguments(after) else { return };
                let options: String = options.split_whitespace().collect();
                self.packages.extend(words(names).into_iter().map(|name| (name, options.clone())));
            }
            "PassOptionsToPackage" => {
                // Options first, and then the package, both in braces.
                let Some((_, options)) = arguments(after) else { return };
                let behind = after.split_once('}').map(|(_, behind)| behind).and_then(arguments);
                self.passed.extend(
                    behind.map(|(_, name)| (name.trim().to_owned(), options.split_whitespace().collect())),
                );
            }
            "LoadClass" => self.loads_class = arguments(after).map(|(_, class)| class.trim().to_owned()),
            "include" => {
                let file = arguments(after).map(|(_, file)| file.trim().to_owned());
                self.included.extend(file.clone());
                self.inputs.extend(file);
            }
            "input" | "subfile" | "includestandalone" => {
                self.inputs.extend(arguments(after).map(|(_, file)| file.trim().to_owned()));
            }
            "includegraphics" | "includepdf" => {
                let after = after.strip_prefix('*').unwrap_or(after);
                self.figures.extend(arguments(after).map(|(_, file)| file.trim().to_owned()));
            }
            "bibliography" => self.has_bibliography = true,
            "printindex" => self.prints_index = true,
            "makeindex" => self.makes_index = true,
            "makeglossaries" => self.makes_glossaries = true,
            "makenomenclature" => self.makes_nomenclature = true,
            name if name.to_ascii_lowercase().contains("cite") => self.cites = true,
            _ => {}
        }
    }

    /// Whether it loads one of these packages.
    pub fn loads(&self, names: &[&str]) -> bool {
        self.packages.iter().any(|(package, _)| names.contains(&package.as_str()))
    }

    /// The options of a package, as far as they are given here.
    pub fn options(&self, name: &str) -> impl Iterator<Item = &str> {
        let all = self.packages.iter().chain(&self.passed).filter(move |(package, _)| package == name);
        all.flat_map(|(_, options)| options.split(','))
    }
}

/// The line without its comment.
fn code(line: &str) -> &str {
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            '%' if !is_escaped => return &line[..at],
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    line
}

/// `% !TEX program = NAME`, `% !TeX TS-program = NAME`.
fn program(line: &str) -> Option<String> {
    let line = line.trim().strip_prefix('%')?.trim_start();
    let said = line.get(..4).filter(|mark| mark.eq_ignore_ascii_case("!tex")).map(|_| &line[4..])?;
    let (key, value) = said.split_once('=')?;
    let is_program = ["program", "ts-program"].iter().any(|name| key.trim().eq_ignore_ascii_case(name));
    is_program.then(|| value.trim().to_ascii_lowercase())
}

/// `[options]{argument}` behind a command, with white space between.
fn arguments(after: &str) -> Option<(&str, &str)> {
    let after = after.trim_start();
    let (options, after) = match after.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", after),
    };
    let (argument, _) = after.trim_start().strip_prefix('{')?.split_once('}')?;
    Some((options, argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_comments_are_not() {
        let source = Source::read(
            "% !TeX TS-program = XeLaTeX\n\\documentclass[a4paper]{ report }\n\\usepackage{ booktabs, fontspec}\n\
             %\\begin{document}\n50\\% \\\\bibliography \\printindex\n\\usepackage[backend = bibtex,\n style=x]{biblatex}\n\
             \\input{a/b} \\include{c.tex}\\parencite{k}",
        );
        assert_eq!(source.program.as_deref(), Some("xelatex"));
        assert_eq!(source.class.as_deref(), Some("report"));
        assert!(!source.begins && !source.has_bibliography && source.prints_index && source.cites);
        assert!(source.loads(&["booktabs"]) && source.loads(&["fontspec"]) && !source.loads(&["x"]));
        assert_eq!(source.options("biblatex").collect::<Vec<_>>(), ["backend=bibtex", "style=x"]);
        assert_eq!(source.inputs, ["a/b", "c.tex"]);
        let source = Source::read(
            "\\begin{filecontents*}[overwrite]{ a.bib }\\begin {filecontents}{b}\\begin{filecontents}",
        );
        assert_eq!((source.writes, source.begins), (vec!["a.bib".to_owned(), "b".to_owned()], false));
    }

    #[test]
    fn options_may_come_from_elsewhere() {
        let source =
            Source::read("\\PassOptionsToPackage{backend = bibtex}{biblatex}\\LoadClass[a4paper]{report}");
        assert_eq!(source.options("biblatex").collect::<Vec<_>>(), ["backend=bibtex"]);
        assert_eq!(source.loads_class.as_deref(), Some("report"));
    }

    #[test]
    fn unfinished_commands_say_nothing() {
        for text in [
            "\\",
            "\\documentclass",
            "\\documentclass[",
            "\\usepackage{",
            "\\PassOptionsToPackage{a}",
            "\\begin{ä",
            "% !TE",
            "%ä!TEX=",
            "\\ä",
        ] {
            assert_eq!(Source::read(text), Source::default(), "{text}");
        }
    }
}
