//! An answer to a request: as JSON, or in words.

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::style::Style;
use crate::majordomo::request::{Failure, Report, Request};

/// An answer in words, and whom they are for.
pub enum Said {
    /// It is data: stdout.
    Data(String),
    /// It is talk: stderr.
    Talk(String),
    /// It is data, and there is something to be said of it.
    Both {
        /// For stdout.
        data: String,
        /// For stderr.
        talk: String,
    },
}

impl Context<'_> {
    /// Asks, and writes the answer.
    ///
    /// # Errors
    /// As [`Context::report`] and [`Context::tell`].
    pub fn ask(
        &mut self,
        request: Request,
        json: bool,
        said: impl FnOnce(&Report, Style) -> Option<Said>,
    ) -> Result<Exit, Failure> {
        let report = self.report(request, &mut |_| ())?;
        self.tell(&report, json, said)?;
        Ok(Exit::Done)
    }

    /// Writes an answer: as JSON, or in the words that are found for it (`None`: it is another answer than that to this request).
    ///
    /// # Errors
    /// It is another answer, or stdout cannot be written.
    pub fn tell(
        &mut self,
        report: &Report,
        json: bool,
        said: impl FnOnce(&Report, Style) -> Option<Said>,
    ) -> Result<(), Failure> {
        if json {
            return self.print_json(report);
        }
        match said(report, self.out_style).ok_or_else(unexpected)? {
            Said::Data(data) => self.print(&data)?,
            Said::Talk(talk) => self.talk.say(&talk),
            Said::Both { data, talk } => {
                self.print(&data)?;
                self.talk.say(&talk);
            }
        }
        Ok(())
    }
}
