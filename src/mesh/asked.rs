//! What the majordomo asks of a federation ([`Membership`]), answered by the part of this pod's mesh whose matter it is.

use std::path::Path;

use backplane::owners::Changes;
use protocol::event::Outcome;
use protocol::mesh::{FederationId, ProjectName, Role};
use protocol::{PodId, WorkspaceId};

use super::{Joined, presence};
use crate::majordomo::holder::Host;
use crate::majordomo::membership::{Answer, Membership, UseOrder, Used};
use crate::majordomo::request::{
    ArtefactName, ArtefactsReport, Failure, InvitationReport, LeaveReport, Named, OwnerReport, PodsReport,
    ProjectsReport, ProjectsRequest, PulledReport, RefreshedReport, Reply,
};
use crate::majordomo::sink::{Cancel, Sink};

impl Membership for Joined {
    fn banned_from(&self) -> Option<FederationId> {
        self.banned_from()
    }

    fn refusal(&self) -> Option<Failure> {
        self.refusal()
    }

    fn name_of(&self, pod: &PodId) -> String {
        presence::name(&self.mesh, pod)
    }

    fn pods(&self) -> Answer<'_, PodsReport> {
        Box::pin(async { Ok(self.pods().await?) })
    }

    fn invite(&self, role: Role, uses: u32, hours: u32) -> Answer<'_, InvitationReport> {
        Box::pin(async move { Ok(self.invite(role, uses, hours).await?) })
    }

    fn ban<'a>(&'a self, pod: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(self.ban(pod).await?) })
    }

    fn leave<'a>(
        &'a self,
        home: &'a Path,
        anyway: bool,
        (sink, cancel): (&'a Sink, &'a Cancel),
    ) -> Answer<'a, Option<LeaveReport>> {
        Box::pin(async move {
            let on_progress = |done, total| {
                sink.reply(Reply::Progress { done, total: Some(total), unit: "artefacts".to_owned() });
            };
            Ok(self.leave(home, anyway, (&on_progress, cancel)).await?)
        })
    }

    fn projects(&self, asked: ProjectsRequest) -> Answer<'_, ProjectsReport> {
        Box::pin(async { Ok(self.projects(asked).await?) })
    }

    fn ask_project<'a>(
        &'a self,
        host: &'a Host,
        named: Named,
        sink: &'a Sink,
        cancel: &'a Cancel,
    ) -> Answer<'a, Option<Outcome>> {
        Box::pin(self.ask_project(host, named, sink, cancel))
    }

    fn use_project<'a>(
        &'a self,
        host: &'a Host,
        order: &'a UseOrder<'a>,
        sink: &'a Sink,
        cancel: &'a Cancel,
    ) -> Answer<'a, Used> {
        Box::pin(self.use_project(host, order, sink, cancel))
    }

    fn changes(&self) -> Changes {
        self.changes()
    }

    fn is_about(&self, changed: &Option<WorkspaceId>, project: &ProjectName) -> bool {
        self.is_about(changed, project)
    }

    fn unchanged(&self, project: &Path) {
        self.unchanged(project);
    }

    fn send_projects_away(&self) {
        self.projects.send_away();
    }

    fn artefacts(&self) -> Result<ArtefactsReport, Failure> {
        self.artefacts()
    }

    fn owner(&self, named: &ArtefactName) -> Result<OwnerReport, Failure> {
        self.owner(named)
    }

    fn give<'a>(&'a self, named: &'a ArtefactName, to: &'a str, is_copy: bool) -> Answer<'a, OwnerReport> {
        Box::pin(async move { Ok(self.give(named, to, is_copy).await?) })
    }

    fn pull<'a>(&'a self, named: &'a ArtefactName) -> Answer<'a, PulledReport> {
        Box::pin(async { Ok(self.pull(named).await?) })
    }

    fn refresh(&self) -> Answer<'_, RefreshedReport> {
        Box::pin(async { Ok(self.refresh().await?) })
    }
}
