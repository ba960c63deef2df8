//! Every environment variable that ComputePods itself reads. The reference page is made from this list.

/// One variable: its name and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvVar {
    /// The name.
    pub name: &'static str,
    /// What it does, in one or two sentences.
    pub help: &'static str,
}

/// The pod's home.
pub const COMPUTEPODS_HOME: EnvVar = EnvVar {
    name: "COMPUTEPODS_HOME",
    help: "The pod's home folder: larder, lock and socket. `--home` goes before it.",
};

/// The diagnostics filter.
pub const COMPUTEPODS_LOG: EnvVar = EnvVar {
    name: "COMPUTEPODS_LOG",
    help: "Diagnostics on stderr, as a filter such as `debug` or `info,view=trace`. Live progress is off while it is set.",
};

/// Where steps run.
pub const COMPUTEPODS_SANDBOX: EnvVar = EnvVar {
    name: "COMPUTEPODS_SANDBOX",
    help: "Where a pod that is started with it runs steps: `native` (bare Linux namespaces), `podman`, or `auto` (podman where it can start a container). `--sandbox` goes before it; without both it is what `sandbox` in the home's `pod.toml` says, else `native`.",
};

/// The base of the default home.
pub const XDG_DATA_HOME: EnvVar = EnvVar {
    name: "XDG_DATA_HOME",
    help: "The home is `$XDG_DATA_HOME/computepods` if nothing else names one. A relative path in it is ignored.",
};

/// The user's folder: the last resort for the default home, and for rustup's.
pub const HOME: EnvVar = EnvVar {
    name: "HOME",
    help: "Without `XDG_DATA_HOME` the home is `$HOME/.local/share/computepods`, and without `RUSTUP_HOME` rustup is looked for in `$HOME/.rustup`.",
};

/// Where rustup keeps its toolchains.
pub const RUSTUP_HOME: EnvVar = EnvVar {
    name: "RUSTUP_HOME",
    help: "Steps see rustup's default toolchain in this folder, as a tool root. It is the caller's that counts, whoever holds the pod.",
};

/// No colour, please.
pub const NO_COLOR: EnvVar = EnvVar {
    name: "NO_COLOR",
    help: "No colour, whatever its value, unless it is empty. `--color` goes before it.",
};

/// The kind of terminal.
pub const TERM: EnvVar = EnvVar { name: "TERM", help: "`dumb`: no colour and no live progress." };

/// All of them, in the order of the reference page.
pub const ALL: [EnvVar; 8] = [
    COMPUTEPODS_HOME,
    COMPUTEPODS_LOG,
    COMPUTEPODS_SANDBOX,
    XDG_DATA_HOME,
    HOME,
    RUSTUP_HOME,
    NO_COLOR,
    TERM,
];

/// Set by a developer: tests that compare a generated page with the code write it anew.
#[cfg(test)]
pub const UPDATE_DOCS: &str = "UPDATE_DOCS";
