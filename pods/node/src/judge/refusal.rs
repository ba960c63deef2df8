//! Why what a step did is not accepted.

use protocol::RelPath;
use protocol::codec::BadObject;

/// Why what a step did is not accepted, though it ended well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It wrote to, or removed, a source.
    #[error("it changed the source `{path}`: a step may not change what it is made from")]
    ChangesSource {
        /// The source.
        path: RelPath,
    },
    /// It left something behind that is no file, folder or link.
    #[error("it made `{path}`, which is {what}: only files, folders and links can be outputs")]
    Special {
        /// Where.
        path: RelPath,
        /// What it is.
        what: &'static str,
    },
    /// It left a link that leads out of the project.
    #[error(
        "it made the link `{path}` to `{target}`: a link may lead to what is in the project, or into the machine's tools (`/usr`, \
         `/opt` …); if nobody needs it, name it in `scratch`"
    )]
    LeadsOut {
        /// The link.
        path: RelPath,
        /// Where it leads, as text.
        target: String,
    },
    /// It wrote what programs run, or what says what steps may do.
    #[error(
        "it wrote `{path}`, and no step may write `{part}`: let it write to another folder, or below `/tmp`"
    )]
    Reserved {
        /// Where.
        path: RelPath,
        /// What of it: see [`RelPath::reserved`].
        part: &'static str,
    },
    /// Something that it promised is not there.
    #[error("it did not make `{path}`, which it promises in `out`")]
    Missing {
        /// What is missing.
        path: RelPath,
    },
    /// A name that no path can have.
    #[error("it made a name in `{folder}` that cannot be stored")]
    BadName {
        /// In which folder.
        folder: RelPath,
    },
    /// A normaliser that is a program has no normal form of an output.
    #[error("`{path}` has no normal form: `{lens}` does not say it: {why}")]
    NotNormal {
        /// The output.
        path: RelPath,
        /// The normaliser, as it is written.
        lens: String,
        /// Why not.
        why: String,
    },
    /// The tree of outputs cannot be.
    #[error("what it made is no tree: {0}")]
    BadTree(BadObject),
}
