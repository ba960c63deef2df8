//! What of the host a step may see, and what it sees instead (DESIGN §6).

use bytes::Bytes;
use protocol::RelPath;
use rustc_hash::{FxHashMap, FxHashSet};

/// Folders of the host whose trees steps see; `lib`, `lib32`, `lib64` … come by [`LIB_PREFIX`].
const TOOL_ROOTS: [&[u8]; 5] = [b"usr", b"bin", b"sbin", b"opt", b"var/lib/texmf"];

/// Names at the top that begin so are tool roots, too.
const LIB_PREFIX: &[u8] = b"lib";

/// What compilers, TeX, interpreters and their libraries read in `/etc`, as paths below it; a final `*` matches any
/// rest of a name. Everything below a path that matches is seen.
const ETC: &[&str] = &[
    // The dynamic loader, and Debian's choice between tools.
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-*",
    // TeX, fonts, paper.
    "texmf",
    "texlive*",
    "fonts",
    "papersize",
    "paperspecs",
    "libpaper.d",
    "ghostscript",
    "ImageMagick-*",
    // Certificates, and the settings of the libraries that check them.
    "ssl/certs",
    "ssl/openssl.cnf",
    "ssl/cert.pem",
    "ca-certificates",
    "ca-certificates.conf",
    "pki/tls",
    "pki/ca-trust",
    "pki/java",
    "crypto-policies",
    // Interpreters and compilers.
    "perl",
    "python*",
    "java*",
    ".java",
    "jvm*",
    "maven*",
    "gradle*",
    "ant",
    "ant.d",
    "R",
    "clang*",
    "ghc*",
    "ocamlfind.conf",
    "mono",
    "php*",
    "octave*",
    "emacs",
    "guile*",
    // XML and SGML catalogues, manual pages.
    "xml",
    "sgml",
    "groff",
    "man_db.conf",
    // What libc, libmagic and terminals look for.
    "localtime",
    "timezone",
    "locale.alias",
    "magic",
    "magic.mime",
    "mime.types",
    "protocols",
    "services",
    "rpc",
    "networks",
    "host.conf",
    "gai.conf",
    "terminfo",
    "inputrc",
    "shells",
    // Which system it is, and graphics and accelerator loaders.
    "os-release",
    "lsb-release",
    "debian_version",
    "redhat-release",
    "system-release",
    "alpine-release",
    "arch-release",
    "dpkg",
    "OpenCL",
    "vulkan",
    "glvnd",
];

/// Files that every step sees alike.
const FILES: [(&str, &str); 6] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         build:x:1000:1000:build:/home/build:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nbuild:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1\tlocalhost kitchen\n::1\tlocalhost kitchen\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
         protocols: files\nservices: files\nethers: files\nrpc: files\n",
    ),
    ("etc/hostname", "kitchen\n"),
    // A step that may use the network gets the host's own, bound over this one by the kitchen.
    ("etc/resolv.conf", ""),
];

/// Links that every step sees alike.
const LINKS: [(&str, &str); 1] = [("etc/mtab", "../proc/self/mounts")];

/// Empty folders: what is mounted on them is the kitchen's.
const DIRS: [&str; 6] = ["proc", "dev", "tmp", "var/tmp", "home/build", "project"];

/// What every step sees at a path, whatever the host has there.
#[derive(Debug, Clone)]
pub enum Fixed {
    /// An empty folder.
    Dir,
    /// These bytes.
    File(Bytes),
    /// A link.
    Link(Bytes),
}

/// Where what stands at a path comes from.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// The host has it, if it is readable for all.
    Host,
    /// A folder that lists only what leads to something.
    Leads,
    /// The same for every step.
    Fixed(&'a Fixed),
    /// Never shown.
    Hidden,
}

/// The rules of one set of options.
#[derive(Debug)]
pub struct Policy {
    roots: Vec<RelPath>,
    hidden: Vec<RelPath>,
    fixed: FxHashMap<RelPath, Fixed>,
    leads: FxHashSet<RelPath>,
    /// Names that the rules know of in a folder, by the folder.
    known_names: FxHashMap<RelPath, FxHashSet<Box<[u8]>>>,
}

impl Policy {
    /// The built-in rules, more tool roots, and what is never shown.
    pub fn new(extra_roots: &[RelPath], hidden: &[RelPath]) -> Self {
        let built_in = TOOL_ROOTS.iter().filter_map(|root| RelPath::new(root).ok());
        let mut fixed = FxHashMap::default();
        let mut fix = |path: &str, what| path.parse::<RelPath>().map(|path| fixed.insert(path, what)).is_ok();
        let all_fixed =
            FILES.iter().all(|(path, text)| fix(path, Fixed::File(Bytes::from_static(text.as_bytes()))))
                && LINKS.iter().all(|(path, to)| fix(path, Fixed::Link(Bytes::from_static(to.as_bytes()))))
                && DIRS.iter().all(|path| fix(path, Fixed::Dir));
        debug_assert!(all_fixed);
        let roots: Vec<RelPath> =
            built_in.chain(extra_roots.iter().filter(|root| !root.is_root()).cloned()).collect();
        let etc = ETC.iter().filter_map(|entry| format!("etc/{entry}").parse::<RelPath>().ok());
        let mut policy = Self {
            hidden: hidden.to_vec(),
            fixed,
            leads: FxHashSet::default(),
            known_names: FxHashMap::default(),
            roots,
        };
        let leading: Vec<RelPath> =
            policy.roots.iter().cloned().chain(policy.fixed.keys().cloned()).chain(etc).collect();
        for path in leading {
            policy.lead_to(path);
        }
        policy
    }

    fn lead_to(&mut self, path: RelPath) {
        let mut below = path;
        while let Some(folder) = below.parent() {
            if let Some(name) = below.name()
                && !name.ends_with(b"*")
            {
                self.known_names.entry(folder.clone()).or_default().insert(name.into());
            }
            self.leads.insert(folder.clone());
            below = folder;
        }
    }

    /// Where what stands at this path comes from.
    pub fn place(&self, path: &RelPath) -> Place<'_> {
        if self.hidden.iter().any(|hidden| path.is_within(hidden)) {
            return Place::Hidden;
        }
        if let Some(fixed) = self.fixed.get(path) {
            return Place::Fixed(fixed);
        }
        if self.is_tool(path) || path.as_bytes().strip_prefix(b"etc/").is_some_and(etc_shows) {
            return Place::Host;
        }
        if self.leads.contains(path) { Place::Leads } else { Place::Hidden }
    }

    /// Whether this path is in a tool root.
    pub fn is_tool(&self, path: &RelPath) -> bool {
        path.as_bytes().starts_with(LIB_PREFIX) || self.roots.iter().any(|root| path.is_within(root))
    }

    /// The names that the rules know of in a folder.
    pub fn known_names(&self, folder: &RelPath) -> impl Iterator<Item = &[u8]> {
        self.known_names.get(folder).into_iter().flatten().map(|name| &name[..])
    }

    /// Whether a folder that leads somewhere has names of the host that only patterns know.
    pub fn has_patterns(folder: &RelPath) -> bool {
        matches!(folder.as_bytes(), b"" | b"etc")
    }
}

/// Whether a path is in a tool root of every machine, or in what steps see of `/etc`.
pub fn is_common_tool(path: &RelPath) -> bool {
    let is_in = |root: &&[u8]| {
        path.as_bytes().strip_prefix(*root).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    };
    let is_of_etc = || path.as_bytes().strip_prefix(b"etc/").is_some_and(etc_shows);
    path.as_bytes().starts_with(LIB_PREFIX) || TOOL_ROOTS.iter().any(is_in) || is_of_etc()
}

/// Whether a path below `/etc` is seen.
fn etc_shows(path: &[u8]) -> bool {
    ETC.iter().any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix.as_bytes()),
        None => {
            path.strip_prefix(entry.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn places() {
        let policy = Policy::new(&[path("root/.rustup/toolchains/stable")], &[path("opt/pod")]);
        for host in [
            "usr",
            "usr/bin/cc",
            "lib",
            "lib64/x",
            "etc/alternatives/cc",
            "etc/python3.11/x",
            "etc/ssl/certs",
        ] {
            assert!(matches!(policy.place(&path(host)), Place::Host), "{host}");
        }
        for leads in ["", "etc", "etc/ssl", "var", "var/lib", "root", "root/.rustup", "home"] {
            let path = RelPath::new(leads.as_bytes()).unwrap();
            assert!(matches!(policy.place(&path), Place::Leads), "{leads}");
        }
        for fixed in ["etc/passwd", "proc", "home/build", "project", "etc/mtab"] {
            assert!(matches!(policy.place(&path(fixed)), Place::Fixed(_)), "{fixed}");
        }
        let hidden = [
            "run",
            "sys",
            "root/.ssh",
            "etc/shadow",
            "etc/ssl/private",
            "home/me",
            "opt/pod/x",
            "etc/ld.so.preload",
        ];
        for hidden in hidden {
            assert!(matches!(policy.place(&path(hidden)), Place::Hidden), "{hidden}");
        }
    }
}
