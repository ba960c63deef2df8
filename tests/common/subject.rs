//! A small project whose outputs are known beforehand, and random numbers to change it by.

pub use super::random::{Random, number};
use super::{Place, Project};

/// Eight parts are made of eight sources and a common header; one of them as many undeclared files; one whole of all.
const FILE: &str = r#"
[step.part]
each = "in/*"
run = "mkdir -p more; cat head {in} > {out}; tr a-z A-Z < {in} > more/{stem}; sleep 0.01"
out = "parts/{stem}"
[step.big]
run = "for i in 1 2 3 4 5 6 7 8 9 10; do cat head in/*; head -c 200000 /dev/zero; done > {out}"
out = "big"
[step.whole]
run = "cat parts/* more/* > {out}; cksum < big >> {out}"
out = "whole"
after = ["part", "big"]
"#;

/// The same, and nobody says who comes first.
const WITHOUT_ORDER: &str = r#"
[step.whole]
run = "cat parts/* more/* > {out}; cksum < big >> {out}"
out = "whole"
[step.part]
each = "in/*"
run = "mkdir -p more; cat head {in} > {out}; tr a-z A-Z < {in} > more/{stem}; sleep 0.01"
out = "parts/{stem}"
[step.big]
run = "for i in 1 2 3 4 5 6 7 8 9 10; do cat head in/*; head -c 200000 /dev/zero; done > {out}"
out = "big"
"#;

const PARTS: usize = 8;

/// The project, and what its outputs have to be.
pub struct Subject<'p> {
    /// The project.
    pub project: Project<'p>,
    head: String,
    inputs: Vec<String>,
}

impl<'p> Subject<'p> {
    /// Writes the project.
    pub fn new(place: &'p Place) -> Self {
        Self::of(place, FILE)
    }

    /// Writes it so that the order of its steps has to be found out.
    pub fn without_order(place: &'p Place) -> Self {
        Self::of(place, WITHOUT_ORDER)
    }

    fn of(place: &'p Place, file: &str) -> Self {
        let project = place.project("p", file);
        let inputs = (0..PARTS).map(|i| format!("input {i}\n")).collect();
        let subject = Self { project, head: "head\n".to_owned(), inputs };
        subject.project.write("head", &subject.head);
        (0..PARTS).for_each(|i| subject.write(i));
        subject
    }

    fn write(&self, i: usize) {
        self.project.write(format!("in/{i}"), &self.inputs[i]);
    }

    /// Changes some of the sources, or deletes some of the outputs.
    pub fn change(&mut self, random: &mut Random) {
        for _ in 0..=random.below(3) {
            let i = random.below(PARTS as u64) as usize;
            self.inputs[i] = format!("input {i} is {}\n", random.below(1 << 40));
            self.write(i);
        }
        match random.below(8) {
            0 => {
                self.head = format!("head {}\n", random.below(1 << 40));
                self.project.write("head", &self.head);
            }
            1 if self.project.has("parts") => self.project.remove("parts"),
            2 if self.project.has("whole") => self.project.remove("whole"),
            _ => {}
        }
    }

    /// Asserts that all outputs are what the sources ask for, and that nothing else is there.
    #[track_caller]
    pub fn assert_right(&self) {
        let mut whole = String::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let part = self.project.read(format!("parts/{i}"));
            assert_eq!(part, format!("{}{input}", self.head));
            whole.push_str(&part);
        }
        for (i, input) in self.inputs.iter().enumerate() {
            assert_eq!(self.project.read(format!("more/{i}")), input.to_uppercase());
            whole.push_str(&input.to_uppercase());
        }
        assert!(self.project.read("whole").starts_with(&whole));
        let big = self.project.read("big");
        assert!(big.starts_with(&format!("{}{}", self.head, self.inputs[0])));
        let inputs: usize = self.inputs.iter().map(String::len).sum();
        assert_eq!(big.len(), 10 * (self.head.len() + inputs + 200_000));
        let expected = 2 + 3 * PARTS + 2;
        let files = self.project.files("");
        assert_eq!(files.len(), expected, "{files:?}");
        let temporary = std::fs::read_dir(self.project.at(".majordomo/tmp")).unwrap().count();
        assert_eq!(temporary, 0, "temporary files are left in the project");
    }
}
