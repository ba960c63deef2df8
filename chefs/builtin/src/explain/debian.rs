//! Which Debian package has what is missing most often. Debian cannot be asked: its lists are not where steps look.

/// The package of a program.
pub fn program(name: &str) -> Option<&'static str> {
    find(PROGRAMS, name)
}

/// The package of a LaTeX package or class.
pub fn latex(name: &str) -> Option<&'static str> {
    find(LATEX, name)
}

/// The package of a language, by babel's name for it.
pub fn language(name: &str) -> Option<&'static str> {
    find(LANGUAGES, name)
}

fn find(table: &[(&'static str, &str)], name: &str) -> Option<&'static str> {
    let has = |names: &str| names.split_whitespace().any(|one| one == name);
    table.iter().find(|(_, names)| has(names)).map(|(package, _)| *package)
}

const PROGRAMS: &[(&str, &str)] = &[
    ("autoconf", "autoconf autoreconf autoheader"),
    ("automake", "automake aclocal"),
    ("biber", "biber"),
    ("binutils", "ar as ld nm objcopy objdump ranlib strip"),
    ("bison", "bison yacc"),
    ("cargo", "cargo"),
    ("clang", "clang clang++"),
    ("cmake", "cmake ctest"),
    ("curl", "curl"),
    ("flex", "flex lex"),
    ("g++", "c++ g++"),
    ("gcc", "cc gcc"),
    ("gettext", "gettext msgfmt msgmerge xgettext"),
    ("ghostscript", "epstopdf gs ps2pdf"),
    ("gnuplot", "gnuplot"),
    ("graphviz", "dot neato"),
    ("help2man", "help2man"),
    ("imagemagick", "convert magick"),
    ("inkscape", "inkscape"),
    ("libtool-bin", "libtool"),
    ("libtool", "libtoolize"),
    ("m4", "m4"),
    ("make", "make"),
    ("meson", "meson"),
    ("nasm", "nasm"),
    ("ninja-build", "ninja"),
    ("pandoc", "pandoc"),
    ("pkg-config", "pkg-config"),
    ("python3", "python3"),
    ("python3-pygments", "pygmentize"),
    ("rustc", "rustc"),
    ("texinfo", "makeinfo texi2any"),
    ("texlive-binaries", "bibtex makeindex pdftex"),
    ("texlive-extra-utils", "latexindent texcount"),
    ("texlive-lang-japanese", "platex uplatex"),
    ("texlive-latex-base", "latex pdflatex"),
    ("texlive-latex-extra", "makeglossaries makeglossaries-lite"),
    ("texlive-luatex", "lualatex"),
    ("texlive-xetex", "xelatex"),
    ("unzip", "unzip"),
    ("wget", "wget"),
    ("xindy", "texindy xindy"),
    ("yasm", "yasm"),
];

const LATEX: &[(&str, &str)] = &[
    ("lmodern", "lmodern"),
    ("texlive-bibtex-extra", "apacite biblatex biblatex-chicago jurabib"),
    (
        "texlive-fonts-extra",
        "FiraSans ebgaramond fontawesome fontawesome5 inconsolata lato libertine libertinust1math newpxmath newpxtext \
         newtxmath newtxtext noto opensans roboto sourcecodepro sourcesanspro sourceserifpro stix2",
    ),
    ("texlive-fonts-recommended", "eurosym marvosym stmaryrd wasysym"),
    ("texlive-lang-japanese", "luatexja"),
    (
        "texlive-latex-extra",
        "abstract acronym adjustbox appendix blindtext cancel cases chngcntr cleveref comment csquotes csvsimple datetime \
         datetime2 doi enumitem epigraph esint exam footmisc framed fvextra glossaries glossaries-extra hyphenat imakeidx \
         lastpage leaflet lettrine lipsum makecell mdframed minted moderncv moreverb multirow mwe nicefrac nomencl \
         placeins sectsty standalone subfiles svg tabu tcolorbox textpos thmtools threeparttable titlesec titletoc \
         titling tocbibind tocloft todonotes totcount units upquote varwidth vmargin wrapfig xargs xstring zref",
    ),
    (
        "texlive-latex-recommended",
        "beamer booktabs caption etoolbox float fontspec hologo listings mathrsfs mathtools memoir metalogo microtype \
         parskip pdflscape pdfpages polyglossia ragged2e scrartcl scrbook scrlttr2 scrreprt setspace subcaption subfig \
         unicode-math xcolor xltxtra",
    ),
    ("texlive-luatex", "luacode"),
    (
        "texlive-pictures",
        "chemfig circuitikz forest pgf pgfgantt pgfplots pgfplotstable tikz tikz-cd tikz-timing tikzpagenodes tufte-book \
         tufte-handout",
    ),
    ("texlive-pstricks", "auto-pst-pdf pst-all pst-node pst-plot pstricks"),
    (
        "texlive-publishers",
        "IEEEtran aastex acmart apa6 apa7 classicthesis elsarticle llncs revtex4-1 revtex4-2 sigconf",
    ),
    (
        "texlive-science",
        "algorithm algorithm2e algorithmic algorithmicx algpseudocode bussproofs complexity mhchem physics siunitx",
    ),
    ("texlive-xetex", "xeCJK"),
];

const LANGUAGES: &[(&str, &str)] = &[
    ("texlive-lang-chinese", "chinese-simplified chinese-traditional"),
    ("texlive-lang-cyrillic", "belarusian bulgarian mongolian russian serbianc ukrainian"),
    ("texlive-lang-czechslovak", "czech slovak"),
    ("texlive-lang-english", "american australian british canadian newzealand"),
    (
        "texlive-lang-european",
        "albanian breton croatian danish dutch estonian finnish friulan hungarian icelandic irish latin latvian \
         lithuanian norsk nynorsk romanian romansh samin scottish slovene swedish turkish welsh",
    ),
    ("texlive-lang-french", "acadian canadien french"),
    ("texlive-lang-german", "austrian german naustrian ngerman nswissgerman swissgerman"),
    ("texlive-lang-greek", "greek polutonikogreek"),
    ("texlive-lang-italian", "italian"),
    ("texlive-lang-japanese", "japanese"),
    ("texlive-lang-polish", "polish"),
    ("texlive-lang-portuguese", "brazilian portuguese"),
    ("texlive-lang-spanish", "basque catalan galician spanish"),
];
