//! How a build ended: its events, held against what the reference promises of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::running::Ended;

/// A build that has ended.
#[derive(Debug)]
pub struct Built {
    /// The command.
    pub ended: Ended,
    /// Its events.
    pub events: Vec<Value>,
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

impl Built {
    /// Reads the events from stdout.
    #[track_caller]
    pub fn new(ended: Ended) -> Self {
        let built = Self::cut_off(ended);
        if built.ended.signal.is_none() {
            built.check();
        }
        built
    }

    /// Reads the events of a build that was killed, or whose pod was: nothing is promised of their end.
    #[track_caller]
    pub fn cut_off(ended: Ended) -> Self {
        let mut events = Vec::new();
        for line in ended.stdout.lines() {
            match serde_json::from_str(line) {
                Ok(event) => events.push(event),
                // A killed process may leave half a line.
                Err(_) if ended.signal.is_some() => break,
                Err(error) => panic!("{error}: {line}\n{}", ended.stderr),
            }
        }
        Self { ended, events }
    }

    /// How many of the steps whose ids begin so were under way at once, at most.
    pub fn at_once(&self, prefix: &str) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        let is_one = |event: &&Value| event["step"].as_str().is_some_and(|step| step.starts_with(prefix));
        for event in self.events.iter().filter(is_one) {
            match event["event"].as_str() {
                Some("step-started") => now += 1,
                Some("step-finished") => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
        most
    }

    /// How many steps began on each pod; on that of the build: `here`.
    pub fn started_on(&self) -> BTreeMap<String, usize> {
        let mut pods = BTreeMap::new();
        for event in self.events.iter().filter(|event| event["event"] == "step-started") {
            *pods.entry(event["pod"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        pods
    }

    /// On which pods a step began, one after the other.
    pub fn started_at(&self, step: &str) -> Vec<&str> {
        let started = |event: &&Value| event["event"] == "step-started" && event["step"] == step;
        self.events.iter().filter(started).map(|event| event["pod"].as_str().unwrap()).collect()
    }

    /// The laws of `docs/reference/events.md`.
    #[track_caller]
    fn check(&self) {
        let Some(first) = self.events.first() else { return };
        let shown = || self.ended.shown();
        assert_eq!(
            (text(first, "event"), &first["schema"]),
            ("build-started", &Value::from(2)),
            "{}",
            shown()
        );
        let last = self.events.last().unwrap();
        assert_eq!(text(last, "event"), "build-finished", "{}", shown());
        let mut at = 0.0;
        let mut finished = BTreeMap::new();
        let mut running = BTreeMap::new();
        for event in &self.events {
            let now = event["at"].as_f64().unwrap();
            assert!(now >= at, "time runs backwards: {event}\n{}", shown());
            at = now;
            let step = text(event, "step");
            match text(event, "event") {
                "step-started" => {
                    assert!(running.insert(step, ()).is_none(), "started twice: {event}\n{}", shown());
                    let before = finished.remove(step);
                    assert!(
                        matches!(before, None | Some("reused")),
                        "{before:?} before: {event}\n{}",
                        shown()
                    );
                    assert!(!text(event, "reason").is_empty(), "without a reason: {event}");
                }
                "step-output" => assert!(!finished.contains_key(step), "{event}\n{}", shown()),
                "step-restarted" => {
                    running.insert(step, ());
                    finished.remove(step);
                }
                "step-finished" => {
                    running.remove(step);
                    let (failed, reason) = (text(event, "failure"), text(event, "reason"));
                    match text(event, "how") {
                        "ran" => assert!(failed.is_empty() && !reason.is_empty(), "{event}"),
                        "reused" => assert!(failed.is_empty(), "{event}"),
                        _ => assert!(!failed.is_empty() || text(event, "how") == "cancelled", "{event}"),
                    }
                    let twice = finished.insert(step, text(event, "how"));
                    assert!(twice.is_none(), "finished twice: {event}\n{}", shown());
                }
                _ => {}
            }
        }
        assert!(running.is_empty(), "never finished: {running:?}\n{}", shown());
        let count = |how: &str| finished.values().filter(|ended| **ended == how).count() as u64;
        if !self.answered_by_stamps() {
            for how in ["ran", "reused", "failed"] {
                assert_eq!(last[how], count(how), "`{how}` of the last event\n{}", shown());
            }
        }
        let outcome = text(last, "outcome");
        match self.ended.code {
            Some(0) => assert_eq!(outcome, "success", "{}", shown()),
            Some(1) => assert_eq!(outcome, "failure", "{}", shown()),
            _ => {}
        }
    }

    /// The build with nothing to do says how many steps it has, and names only those that printed something.
    fn answered_by_stamps(&self) -> bool {
        !self.events.iter().any(|event| text(event, "event") == "planned")
    }

    /// Whether the build started again on a new snapshot.
    pub fn has_restarted(&self) -> bool {
        self.notes().iter().any(|note| note.contains("starting again"))
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts that a step failed.
    #[track_caller]
    pub fn failed(self) -> Self {
        self.code(1)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.ended.code, Some(code), "{}", self.ended.shown());
        self
    }

    /// What was said.
    pub fn said(&self) -> &str {
        &self.ended.stderr
    }

    /// The steps whose commands ran, sorted, each once.
    pub fn ran(&self) -> Vec<&str> {
        self.steps("step-started", |_| true)
    }

    /// Those of the project itself: the steps that asked chefs are left out.
    pub fn ran_without_chefs(&self) -> Vec<&str> {
        self.ran().into_iter().filter(|step| !step.starts_with("chef:")).collect()
    }

    /// The steps that ended so, sorted, each once.
    pub fn ended_as(&self, how: &str) -> Vec<&str> {
        self.steps("step-finished", |event| text(event, "how") == how)
    }

    fn steps(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Vec<&str> {
        let mut steps: Vec<_> = self
            .events
            .iter()
            .filter(|event| text(event, "event") == name && fits(event))
            .map(|event| text(event, "step"))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// How often a step's commands ran.
    pub fn passes(&self, step: &str) -> usize {
        let runs = |event: &&Value| {
            ["step-started", "step-restarted"].contains(&text(event, "event")) && text(event, "step") == step
        };
        self.events.iter().filter(runs).count()
    }

    /// Why a step ran.
    #[track_caller]
    pub fn reason(&self, step: &str) -> &str {
        let started = |event: &&Value| text(event, "event") == "step-started" && text(event, "step") == step;
        let event = self.events.iter().find(started);
        text(event.unwrap_or_else(|| panic!("`{step}` did not run\n{}", self.ended.stdout)), "reason")
    }

    /// Why a step failed: its last end counts.
    #[track_caller]
    pub fn failure(&self, step: &str) -> &str {
        let finished =
            |event: &&Value| text(event, "event") == "step-finished" && text(event, "step") == step;
        let event = self.events.iter().rev().find(finished);
        text(event.unwrap_or_else(|| panic!("`{step}` did not end\n{}", self.ended.stdout)), "failure")
    }

    /// What a step printed, line by line.
    pub fn output(&self, step: &str) -> Vec<&str> {
        let printed = |event: &&Value| text(event, "event") == "step-output" && text(event, "step") == step;
        self.events.iter().filter(printed).map(|event| text(event, "text")).collect()
    }

    /// Notes to the user.
    pub fn notes(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter(|event| text(event, "event") == "note")
            .map(|event| text(event, "text"))
            .collect()
    }

    /// A number of the last event.
    #[track_caller]
    pub fn count(&self, what: &str) -> u64 {
        self.events.last().unwrap()[what].as_u64().unwrap()
    }
}
