//! One document, and its steps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::source::Source;
use crate::is_file;

/// The programs that a comment may ask for.
const ENGINES: [&str; 5] = ["pdflatex", "lualatex", "xelatex", "latex", "platex"];
/// Of them, those that make a DVI.
const DVI: [&str; 2] = ["latex", "platex"];
/// Packages that need one of the newer engines, and which one then.
const LUALATEX: [&str; 6] = ["fontspec", "luacode", "luatexja", "polyglossia", "unicode-math", "luatextra"];
const XELATEX: [&str; 4] = ["mathspec", "xeCJK", "xltxtra", "xunicode"];
/// Packages that run programs of their own. In the kitchen they can harm nothing.
const RUN_PROGRAMS: [&str; 4] = ["auto-pst-pdf", "gnuplottex", "minted", "svg"];

/// The first error in the log, with what TeX was reading, up to its words about its memory.
const FIRST_ERROR: &str = "/^Here is how much/Q; /^(!|[^ (].*:[0-9]+: )/,$p";
/// What the log says while things still move.
const MOVES: &str = "(Please r|R)erun (to get|LaTeX)";
/// What it says of references that lead nowhere.
const UNDEFINED: &str = "Warning: .* undefined on";

/// A document in its project.
pub struct Document<'a> {
    /// Its folder, `""` for the project's.
    folder: String,
    /// Its name without the ending, and the same for a shell.
    stem: String,
    name: String,
    /// What it writes for itself, as words of a shell.
    written: Vec<String>,
    /// It, and what it takes in.
    sources: Vec<(PathBuf, &'a Source)>,
    /// Whether a source has what a program would make: it came with the document, and the program is not needed.
    has: Box<dyn Fn(&str) -> bool + 'a>,
}

impl<'a> Document<'a> {
    pub fn new(project: &'a Path, path: &Path, sources: Vec<(PathBuf, &'a Source)>) -> Self {
        let folder = path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = shlex::try_quote(&stem).map_or_else(|_| stem.clone(), |quoted| quoted.into_owned());
        let beside = path.to_owned();
        let has = Box::new(move |ending: &str| is_file(&project.join(beside.with_extension(ending))));
        let place = project.join(&folder);
        let written = sources.iter().flat_map(|(_, source)| &source.writes);
        let written =
            written.filter_map(|file| written_name(file, &stem)).filter(|file| !is_file(&place.join(file)));
        let written: BTreeSet<String> = written.collect();
        let written =
            written.iter().filter_map(|file| Some(shlex::try_quote(file).ok()?.into_owned())).collect();
        Self { folder, stem, name, written, sources, has }
    }

    /// Its steps, with a word for each.
    pub fn steps(&self) -> Vec<(&'static str, Value)> {
        let bibliography = self.bibliography();
        let others = [
            ("bib", bibliography),
            ("index", self.index()),
            ("glossary", self.glossary()),
            ("nomenclature", self.nomenclature()),
        ];
        let is_cited = others[0].1.is_some();
        let mut steps = vec![("tex", self.engine_step(is_cited))];
        steps.extend(others.into_iter().filter_map(|(word, step)| Some((word, step?))));
        for (_, step) in &mut steps {
            if !self.folder.is_empty() {
                step["cwd"] = json!(self.folder);
            }
        }
        steps
    }

    fn any(&self, is: impl Fn(&Source) -> bool) -> bool {
        self.sources.iter().any(|(_, source)| is(source))
    }

    fn loads(&self, names: &[&str]) -> bool {
        self.any(|source| source.loads(names))
    }

    fn has_option(&self, package: &str, option: &str) -> bool {
        self.any(|source| source.options(package).any(|one| one == option))
    }

    fn engine_step(&self, is_cited: bool) -> Value {
        let name = &self.name;
        let engine = self.engine();
        let escape = if self.loads(&RUN_PROGRAMS) { " -shell-escape" } else { "" };
        let options = format!("-interaction=batchmode -halt-on-error -file-line-error{escape}");
        // What is wrong stands in the log, which nobody else shows.
        let show = format!("{{ sed -nE '{FIRST_ERROR}' {name}.log >&2 2> /dev/null; exit 1; }}");
        let moves = match is_cited {
            // It is empty until something was found to be cited.
            true => format!("[ ! -s {name}.bbl ] || grep -qE '{MOVES}' {name}.log"),
            false => format!("grep -qE '{MOVES}' {name}.log"),
        };
        // LaTeX leaves alone what is there already, though the document says something else by now.
        let anew = match self.written.as_slice() {
            [] => String::new(),
            written => format!("rm -f -- {}\n", written.join(" ")),
        };
        let run = format!(
            "{anew}{engine} {options} {name} > /dev/null || {show}\n{moves} || grep -h '{UNDEFINED}' {name}.log || true"
        );
        let ending = if DVI.contains(&engine.as_str()) { "dvi" } else { "pdf" };
        let mut env = serde_json::Map::from_iter([("max_print_line".to_owned(), json!("1000"))]);
        if engine == "lualatex" {
            // Its list of the machine's fonts takes long to make, and is kept with the rest.
            env.insert(
                "TEXMFVAR".to_owned(),
                json!(format!("{FONTS}/{}", super::step_word(Path::new(&self.stem)))),
            );
        }
        // Each pass reads all of it.
        json!({ "run": run, "keep": true, "notices": "**", "out": self.out(ending), "env": env })
    }

    /// What stands beside the document under its name, as a promise.
    fn out(&self, ending: &str) -> String {
        let file = format!("{}.{ending}", self.stem);
        let out = if self.folder.is_empty() { file } else { format!("{}/{file}", self.folder) };
        out.replace('\\', r"\\")
    }

    /// A step that makes what the engine takes in, of what the engine left. It promises it, so whoever wants the document wants
    /// it, too; where there is nothing to make it of yet, it is empty.
    fn beside(&self, of: &str, command: &str, ending: &str) -> Value {
        let name = &self.name;
        let run = format!(
            "[ ! -e {name}.{of} ] || {command} || exit\n[ -e {name}.{ending} ] || : > {name}.{ending}"
        );
        json!({ "run": run, "out": self.out(ending) })
    }

    /// The engine: what a comment asks for, else what the packages need.
    fn engine(&self) -> String {
        let said = self.sources.first().and_then(|(_, document)| document.program.as_ref());
        if let Some(said) = said.filter(|said| ENGINES.contains(&said.as_str())) {
            return said.clone();
        }
        let engine = match (self.loads(&XELATEX), self.loads(&LUALATEX)) {
            (true, _) => "xelatex",
            (_, true) => "lualatex",
            _ => "pdflatex",
        };
        engine.to_owned()
    }

    fn bibliography(&self) -> Option<Value> {
        if (self.has)("bbl") {
            return None;
        }
        let name = &self.name;
        if self.loads(&["biblatex"])
            && !self.has_option("biblatex", "backend=bibtex")
            && !self.has_option("biblatex", "backend=bibtex8")
        {
            let show =
                format!("{{ code=$?; grep -shE 'ERROR|data source' {name}.blg >&2 || true; exit $code; }}");
            return Some(self.beside("bcf", &format!("biber --onlylog {name} || {show}"), "bbl"));
        }
        let is_text = |path: &Path| path.extension().is_some_and(|ending| ending == "tex");
        // BibTeX fails where nothing is cited. A class may define citations of its own.
        let cites = self.sources.iter().any(|(path, source)| is_text(path) && source.cites);
        let is_wanted = self.loads(&["biblatex"]) || cites && self.any(|source| source.has_bibliography);
        let aux = glob(&self.folder, "**/*.aux");
        is_wanted.then(|| {
            let mut step = self.beside("aux", &format!("bibtex -terse {name}"), "bbl");
            step["project"] = json!({ aux: "bibtex-aux" });
            step
        })
    }

    fn index(&self) -> Option<Value> {
        // It runs makeindex itself, if it may.
        let is_automatic = self.loads(&["imakeidx"]) && !self.has_option("imakeidx", "noautomatic");
        let is_wanted = self.any(|source| source.makes_index) && self.any(|source| source.prints_index);
        let name = &self.name;
        (is_wanted && !is_automatic && !(self.has)("ind"))
            .then(|| self.beside("idx", &format!("makeindex -q {name}"), "ind"))
    }

    fn glossary(&self) -> Option<Value> {
        let name = &self.name;
        let is_loaded = self.loads(&["glossaries", "glossaries-extra"]);
        let records = self.has_option("glossaries-extra", "record");
        if is_loaded && records {
            return Some(self.beside("aux", &format!("bib2gls --silent {name}"), "glstex"));
        }
        let is_automatic =
            self.any(|source| source.options("glossaries").any(|one| one.starts_with("automake")));
        (is_loaded && self.any(|source| source.makes_glossaries) && !is_automatic && !(self.has)("gls"))
            .then(|| self.beside("aux", &format!("makeglossaries -q {name}"), "gls"))
    }

    fn nomenclature(&self) -> Option<Value> {
        let name = &self.name;
        let command = format!("makeindex -q -s nomencl.ist -o {name}.nls {name}.nlo");
        (self.any(|source| source.makes_nomenclature) && !(self.has)("nls"))
            .then(|| self.beside("nlo", &command, "nls"))
    }
}

/// The file that a document of this name writes for `\begin{filecontents}{file}`; `None`: a macro would have to say it.
fn written_name(file: &str, stem: &str) -> Option<String> {
    let name = file.replace("\\jobname", stem);
    let has_ending = Path::new(&name).extension().is_some();
    (!name.is_empty() && !name.contains(['\\', '{', '#']))
        .then(|| if has_ending { name } else { format!("{name}.tex") })
}

/// Where LuaLaTeX keeps what it knows of fonts, in a folder for each document, from the folder of that.
const FONTS: &str = ".luatex";

/// A pattern below a folder, whose own name is none.
fn glob(folder: &str, pattern: &str) -> String {
    match folder.is_empty() {
        true => pattern.to_owned(),
        false => {
            let plain = |c: char| if r"*?[]{}\".contains(c) { format!("\\{c}") } else { c.to_string() };
            format!("{}/{pattern}", folder.chars().map(plain).collect::<String>())
        }
    }
}
