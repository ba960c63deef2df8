//! The pod's membership in its federation: all that the majordomo asks of others.
//!
//! It sends no message and fetches no byte itself: `mesh` implements this trait, whoever has the pod join puts it into the [`Host`], and a pod that
//! stands alone has none. (Where steps run and traces come from is not asked here: that stands behind the pod, as [`node::OtherKitchens`] and
//! [`node::Elsewhere`].)
//!
//! Errors are [`Failure`]s: of the user's where nothing is called what was said, of this machine's where the back-plane cannot be reached or a pod is
//! not there. Whatever is dropped before it has ended is withdrawn, or goes on as if nobody waited: it leaves nothing half-done.

use std::path::Path;

use backplane::owners::Changes;
use futures::future::BoxFuture;
use protocol::event::Outcome;
use protocol::mesh::{FederationId, ProjectName, Role};
use protocol::{BuildId, Digest, PodId, WorkspaceId};

use super::holder::Host;
use super::request::{
    ArtefactName, ArtefactsReport, Failure, InvitationReport, LeaveReport, Named, OwnerReport, PodsReport,
    ProjectsReport, ProjectsRequest, PulledReport, RefreshedReport, UsedBy,
};
use super::sink::{Cancel, Sink};

/// What comes of a question to the federation.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Box<Failure>>>;

/// What is wanted of a project by one that uses it.
#[derive(Debug)]
pub struct UseOrder<'a> {
    /// Which one is used.
    pub project: &'a ProjectName,
    /// What of it.
    pub targets: &'a [String],
    /// For which projects, each of which uses the next; the last uses this one.
    pub used_by: &'a [UsedBy],
    /// The build of the first of them.
    pub build: BuildId,
    /// Nothing is to be built.
    pub as_it_is: bool,
}

/// What came of it.
#[derive(Debug)]
pub enum Used {
    /// It is built, and all of it is in the larder.
    Tree {
        /// What was made.
        tree: Digest,
        /// What people call the pod that has the project.
        owner: String,
    },
    /// It was cancelled.
    Cancelled,
    /// The pod that has the project is not there.
    Away(Box<Failure>),
}

/// What a pod that belongs to a federation can ask of it.
pub trait Membership: Send + Sync {
    /// The federation that has sent this pod away; none: it belongs to it.
    fn banned_from(&self) -> Option<FederationId>;

    /// Why nothing can be asked of the federation; none: it can.
    fn refusal(&self) -> Option<Failure>;

    /// What people call a pod; its id where nobody knows it.
    fn name_of(&self, pod: &PodId) -> String;

    /// Who belongs to it, and how they are reached.
    fn pods(&self) -> Answer<'_, PodsReport>;

    /// Text that lets so many pods in, for so many hours.
    fn invite(&self, role: Role, uses: u32, hours: u32) -> Answer<'_, InvitationReport>;

    /// Sends a pod away, by its name or id: nothing that it says counts from now on.
    fn ban<'a>(&'a self, pod: &'a str) -> Answer<'a, ()>;

    /// Leaves it for good: hands over what this pod owns, and has the home forget the federation. An error if nobody takes it, unless the pod leaves
    /// `anyway`; none: it was cancelled while it handed over, and stays.
    fn leave<'a>(
        &'a self,
        home: &'a Path,
        anyway: bool,
        hearing: (&'a Sink, &'a Cancel),
    ) -> Answer<'a, Option<LeaveReport>>;

    /// Lists registered projects, registers one, or gives a name up.
    fn projects(&self, asked: ProjectsRequest) -> Answer<'_, ProjectsReport>;

    /// Asks something of a project by its name: of this pod (`host`), or of the one that has it. What comes of it goes to `sink`; how a build ended
    /// is the answer.
    fn ask_project<'a>(
        &'a self,
        host: &'a Host,
        named: Named,
        sink: &'a Sink,
        cancel: &'a Cancel,
    ) -> Answer<'a, Option<Outcome>>;

    /// Has a project built by the pod that has it, for one that uses it, and brings what the targets mean.
    fn use_project<'a>(
        &'a self,
        host: &'a Host,
        order: &'a UseOrder<'a>,
        sink: &'a Sink,
        cancel: &'a Cancel,
    ) -> Answer<'a, Used>;

    /// Tells from now on what of the federation's artefacts changes.
    fn changes(&self) -> Changes;

    /// Whether a change may concern a registered project; none: anything may have changed.
    fn is_about(&self, changed: &Option<WorkspaceId>, project: &ProjectName) -> bool;

    /// A build of a project had nothing to do: what was built before this pod joined is claimed.
    fn unchanged(&self, project: &Path);

    /// The pod goes: what others have ordered of its projects is cancelled, which is waited for two seconds at most.
    fn send_projects_away(&self);

    /// All artefacts that somebody owns.
    fn artefacts(&self) -> Result<ArtefactsReport, Failure>;

    /// Who owns what a person means.
    fn owner(&self, named: &ArtefactName) -> Result<OwnerReport, Failure>;

    /// Hands what a person means over to another pod, by its name or id; or has it pull a copy, and the owner stays.
    fn give<'a>(&'a self, named: &'a ArtefactName, to: &'a str, is_copy: bool) -> Answer<'a, OwnerReport>;

    /// Brings what a person means into this pod's larder, verified.
    fn pull<'a>(&'a self, named: &'a ArtefactName) -> Answer<'a, PulledReport>;

    /// Brings all that was pulled before to what it officially is now.
    fn refresh(&self) -> Answer<'_, RefreshedReport>;
}
