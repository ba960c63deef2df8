//! The known keys: what each takes and means. The reader suggests from them, and the reference page is made of them.

use super::nearest::nearest;

/// A key that the project file may have.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What holds without it; empty: the key must be there.
    pub default: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

const fn key(name: &'static str, takes: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, takes, default, meaning }
}

/// The tables of the file.
pub const TABLES: [&str; 6] = ["alias", "pools", "project", "step", "tools", "uses"];

/// Keys of `[project]`.
pub const PROJECT_KEYS: [Key; 5] = [
    key(
        "name",
        "string",
        "the folder's name",
        "A label for people. It is in no key, so renaming runs nothing again.",
    ),
    key(
        "targets",
        "string or list of strings",
        "everything",
        "What a bare `majordomo build` wants: output paths, patterns over declared outputs, ids of steps or names of rules.",
    ),
    key(
        "chef",
        "string or list of strings",
        "the steps of this file",
        "Who plans the steps: the name of a chef – built-in, [registered](chef-protocol.md), or [lent](../how-to/share-builds.md#chefs-of-others) by another pod –, or the folder of one (with a `/` in it); of several, the surest. Steps of this file come beside those of the plan, and in place of those with the same name.",
    ),
    key(
        "limits",
        "table",
        "what the pod says",
        "What each step may use that says nothing else; see [Limits](#limits).",
    ),
    key(
        "image",
        "name of an image",
        "this machine's tools",
        "What steps see that name no other; see [Images](../how-to/images.md).",
    ),
];

/// Keys of `limits`.
pub const LIMITS_KEYS: [Key; 6] = [
    key(
        "memory",
        "size",
        "none",
        "Memory of all processes of the step together, and of what they keep in `/tmp`, `/var/tmp`, `$HOME` and `/dev/shm`.",
    ),
    key(
        "cpus",
        "number",
        "none",
        "How many processors it may keep busy: `1.5`. It then gets slower, and never fails for it.",
    ),
    key("processes", "whole number", "16384", "Processes and threads at once."),
    key("open_files", "whole number", "1024, which a program may raise", "Open files of each process."),
    key(
        "disk",
        "size",
        "`\"64G\"`",
        "What it writes to the project, and what one file anywhere may hold; a sparse file counts with its length.",
    ),
    key("time", "as `timeout`", "none", "What `timeout` is, for steps that have none."),
];

/// Keys of the pod's own file.
pub const POD_KEYS: [Key; 4] = [
    key(
        "sandbox",
        "`\"native\"`, `\"podman\"` or `\"auto\"`",
        "`\"native\"`",
        "The engine of builds that ask for none ([how to](../how-to/podman.md)). `--sandbox` goes before `COMPUTEPODS_SANDBOX`, and that before this.",
    ),
    key(
        "limits",
        "table",
        "none",
        "How much of the machine a step may use of which no project says more, and a step of another pod at most; see [Limits](#limits).",
    ),
    key(
        "tools",
        "table",
        "none",
        "`roots`: folders that steps of other pods may see besides the usual ones, if their project names them. Steps with other roots do not run here for them; the toolchain of rustup is always one.",
    ),
    key(
        "pool",
        "table",
        "see there",
        "How many containers there are, where steps run in containers: `{ maximum = 2, idle = \"10m\" }`.",
    ),
];

/// Keys of `[pool]`.
pub const POOL_KEYS: [Key; 4] = [
    key("minimum", "whole number", "1", "Containers that stay, once the first step has run in one."),
    key("maximum", "whole number", "4", "Containers at most."),
    key(
        "steps",
        "whole number",
        "32",
        "Steps at once in each container, beyond which another one is started beside it.",
    ),
    key("idle", "as `timeout`", "`\"1m\"`", "How long one beyond the minimum stays without a step."),
];

/// Keys of `[tools]`.
pub const TOOLS_KEYS: [Key; 1] = [key(
    "roots",
    "list of absolute folders",
    "none",
    "Folders of this machine that steps see besides the usual ones (`/usr`, `/bin`, `/sbin`, `/lib*`, `/opt`, `/var/lib/texmf`). Traced like any file.",
)];

/// Keys of `[step.NAME]`.
pub const STEP_KEYS: [Key; 27] = [
    key("run", "string, list of words, or list of commands", "", "What is run; see [Commands](#commands)."),
    key(
        "each",
        "pattern or list of patterns",
        "one step",
        "One step for each match, among sources and declared outputs of other steps, in bytewise order. Its id is `NAME:PATH`.",
    ),
    key(
        "out",
        "path or list of paths",
        "none",
        "What the step promises to make; a final `/` promises a whole tree. With it, targets can be named, steps run side by side and clashes are seen before anything runs. Outputs that are not declared are found out all the same.",
    ),
    key(
        "in",
        "pattern or list of patterns",
        "none",
        "Steps whose declared outputs match come first, and the key of the step gets stronger. A matching file that the step does not read triggers nothing.",
    ),
    key(
        "after",
        "name or list of names",
        "none",
        "Rules or steps that come first; this step sees their undeclared outputs too.",
    ),
    key(
        "env",
        "table of strings, or list of names",
        "none",
        "The environment beyond the constants. A table sets values (`{ LANG = \"C\" }`); a list passes on what the caller's environment has (`[\"CC\"]`), and may set values too (`[\"CC\", \"LANG=C\"]`).",
    ),
    key("cwd", "path", "the project's folder", "The folder of the project in which the commands start."),
    key(
        "timeout",
        "`\"90s\"`, `\"5m\"`, `\"1h30m\"`, or whole seconds",
        "none",
        "When it is over, the step and all its processes are ended, and it has failed.",
    ),
    key(
        "limits",
        "table",
        "`limits` of `[project]`, else what the pod says",
        "How much of the machine the step may use: `{ memory = \"512M\", processes = 100 }`; see [Limits](#limits).",
    ),
    key(
        "image",
        "name of an image",
        "`image` of `[project]`, else this machine's tools",
        "An image of the local podman storage (`\"localhost/debian-gcc:12\"`) whose files the step sees instead of this machine's tools; see [Images](../how-to/images.md). Its name is in no key, its files are traced.",
    ),
    key(
        "pool",
        "name of a pool",
        "none",
        "One of [`[pools]`](#pools): of its steps only so many run at once.",
    ),
    key(
        "on",
        "table of strings",
        "any pod",
        "Only pods that have joined with these labels run the step: `{ gpu = \"yes\" }` ([how to](../how-to/share-builds.md)). Each pod has `os` and `arch`. In no key: what such a pod has made is used by all.",
    ),
    key(
        "secrets",
        "name, list of names, or table: name = file",
        "none",
        "Files in `/run/secrets` for this step: from the caller's variables of these names, or from files outside of the project (`{ KEY = \"~/.key\" }`). Their names are part of the step's key; their bytes are in no key and no output of ours ([how to](../how-to/secrets.md)).",
    ),
    key(
        "cache",
        "boolean",
        "`true`; with `secrets` `false`",
        "Whether what the step made is kept and used again. `false` is `volatile = true`.",
    ),
    key("network", "boolean", "`false`", "Whether the step may use the network."),
    key(
        "keep",
        "boolean, pattern or list of patterns",
        "`false`",
        "Which of its own earlier outputs the step sees when it runs again; it then repeats until a pass sees what it leaves.",
    ),
    key(
        "anew",
        "pattern or list of patterns",
        "none",
        "With `keep = true`: files that say how everything is made. When one of them has changed, it runs from nothing, and not from what it left. See [Steps that go on from what they left](../how-to/keep.md).",
    ),
    key(
        "notices",
        "pattern or list of patterns",
        "none",
        "With `keep = true`: files of which its tool knows by itself what an edit spoils. If it reads one that has changed, it has noticed; nobody asks whether all read it again who had read it.",
    ),
    key(
        "max_passes",
        "whole number",
        "8",
        "After how many passes a step fails that sees its own outputs, or is in a circle, and has not settled.",
    ),
    key(
        "project",
        "table: pattern = projection or list of them",
        "none",
        "Which part of the files that match matters to this step: a change of anything else in them does not run it again (`{ \"*.aux\" = \"bibtex-aux\" }`). Several projections of one file add up. See [Projections and normalisers](lenses.md).",
    ),
    key(
        "normalise",
        "normaliser, list of them, or table: pattern = normaliser or list of them",
        "none",
        "What gives outputs their normal form before they are stored: those that match the patterns, or the normaliser's own ones (`\"pdf\"`: `**/*.pdf`).",
    ),
    key(
        "scratch",
        "path or list of paths",
        "none",
        "Files that the step may leave and nobody wants, such as a compiler's list of headers. They are no outputs. One that `out` promises as well is a *mark*: steps may wait for it, and you are not given it.",
    ),
    key(
        "alters",
        "boolean",
        "`false`",
        "Whether the step may change, rename and remove sources. The steps after it see what it left; all others, and you, see the sources as they are.",
    ),
    key(
        "sizes",
        "boolean",
        "`true`",
        "Whether it matters to the step how big a file is that it looks for and never reads. With `false` it runs again when such a file comes or goes, not when it is edited.",
    ),
    key(
        "verbatim",
        "boolean",
        "`false`",
        "Whether all texts of the step are taken as they are: there are no placeholders in them.",
    ),
    key("volatile", "boolean", "`false`", "Run it in every build, whatever is remembered."),
    key(
        "strict",
        "boolean",
        "`false`",
        "Reading a file of the project that `each` and `in` do not match, and making anything that `out` does not say, are errors.",
    ),
];

/// Words from other tools, and what they are called here.
const SYNONYMS: [(&str, &str); 31] = [
    ("cmd", "run"),
    ("cmds", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("script", "run"),
    ("input", "in"),
    ("inputs", "in"),
    ("sources", "in"),
    ("output", "out"),
    ("outputs", "out"),
    ("generates", "out"),
    ("deps", "after"),
    ("depends", "after"),
    ("needs", "after"),
    ("foreach", "each"),
    ("dir", "cwd"),
    ("environment", "env"),
    ("normalize", "normalise"),
    ("projection", "project"),
    ("projections", "project"),
    ("ignore", "project"),
    ("limit", "limits"),
    ("resources", "limits"),
    ("mem", "memory"),
    ("ram", "memory"),
    ("cpu", "cpus"),
    ("pids", "processes"),
    ("files", "open_files"),
    ("nofile", "open_files"),
    ("storage", "disk"),
    ("timeout", "time"),
];

/// The key of `known` that somebody who wrote `word` may have meant.
pub fn meant(word: &str, known: &[Key]) -> Option<&'static str> {
    let is_known = |name: &str| known.iter().any(|key| key.name == name);
    let synonym = SYNONYMS.iter().find(|(other, here)| *other == word.to_lowercase() && is_known(here));
    synonym.map(|(_, here)| *here).or_else(|| nearest(word, known.iter().map(|key| key.name)))
}
