//! `pod` without a command: a pod that stays.

use std::path::Path;

use crate::cli::context::{Context, Talk};
use crate::cli::exit::Exit;
use crate::cli::place;
use crate::cli::style::{Style, Tone};
use crate::majordomo::request::Failure;
use crate::majordomo::standing::{self, News};

/// Stands in the home until a signal or `pod stop` ends it. A signal is how one is ended that was started by hand: no failure.
pub(super) fn stand(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
    context.arm()?;
    let mut say = news(context.talk.clone(), context.talk_style, &home);
    standing::stand(&home, &context.interrupt, &mut say, |_| Ok(()))?;
    Ok(Exit::Done)
}

/// Says what somebody who stands has to say.
pub(super) fn news(talk: Talk, style: Style, home: &Path) -> impl FnMut(News) {
    move |news| {
        let words = match news {
            News::Waiting(process) => {
                format!("a majordomo (process {process}) holds this home: the pod starts when it has ended\n")
            }
            News::Standing(process) => format!(
                "{} in `{}`, process {process}\n\nnow, in another terminal:\n  majordomo build PROJECT\n",
                style.paint(Tone::Name, "the pod stands"),
                home.display()
            ),
            News::Going => "the pod goes\n".to_owned(),
        };
        talk.say(&words);
    }
}
