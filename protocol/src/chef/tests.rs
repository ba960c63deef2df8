//! The golden files are what chefs in other languages are written by: each is read and written again, word for word.

use super::*;

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn plan() -> Planned {
    let file = serde_json::json!({
        "project": { "targets": "doc.pdf" },
        "step": { "tex": { "run": "pdflatex doc", "keep": ["*.aux"], "out": "doc.pdf" } },
    });
    Planned {
        file: file.as_object().unwrap().clone(),
        replan: vec![Replan { after: "tex".into(), ask: serde_json::json!({ "log": "doc.log" }) }],
        notes: vec!["two documents were found".into()],
    }
}

#[test]
fn requests_have_their_golden_form() {
    let all = [
        (Ask::Detect {}, include_str!("golden/detect.request.json")),
        (Ask::Plan {}, include_str!("golden/plan.request.json")),
        (
            Ask::Replan { after: "tex".into(), ask: serde_json::json!({ "log": "doc.log" }) },
            include_str!("golden/replan.request.json"),
        ),
        (
            Ask::Project { lens: "citations".into(), path: "doc.aux".into() },
            include_str!("golden/project.request.json"),
        ),
        (
            Ask::Normalise { lens: "date".into(), path: "doc.pdf".into() },
            include_str!("golden/normalise.request.json"),
        ),
        (
            Ask::Explain {
                step: "tex".into(),
                exit: Some(1),
                cwd: "doc".into(),
                output: "! Undefined control sequence.\n".into(),
            },
            include_str!("golden/explain.request.json"),
        ),
    ];
    for (ask, golden) in all {
        let request = Request::new(ask);
        assert_eq!(pretty(&request), golden);
        assert_eq!(Request::read(golden.as_bytes()).unwrap(), request);
        assert_eq!(Request::read(request.line().as_bytes()).unwrap(), request);
        assert_eq!(request.line().lines().count(), 1);
    }
}

#[test]
fn answers_have_their_golden_form() {
    let all = [
        (
            Say::Detect(Detected { sure: 60, found: "a document `doc.tex`".into(), plan: Some(plan()) }),
            include_str!("golden/detect.answer.json"),
        ),
        (Say::Plan(plan()), include_str!("golden/plan.answer.json")),
        (
            Say::Project(Left { text: Some("\\citation{a}\n".into()), file: None }),
            include_str!("golden/project.answer.json"),
        ),
        (
            Say::Normalise(Left { text: None, file: Some("normal.pdf".into()) }),
            include_str!("golden/normalise.answer.json"),
        ),
        (
            Say::Explain {
                reasons: vec![Reason {
                    text: "`\\foo` is not defined".into(),
                    path: Some("chapter.tex".into()),
                    line: Some(12),
                }],
            },
            include_str!("golden/explain.answer.json"),
        ),
    ];
    for (say, golden) in all {
        let answer = Answer::new(say);
        assert_eq!(pretty(&answer), golden);
        assert_eq!(Answer::read(golden.as_bytes()).unwrap(), answer);
        assert_eq!(Answer::read(answer.line().as_bytes()).unwrap(), answer);
    }
}

#[test]
fn the_shortest_answer_and_unknown_fields() {
    let read = |text: &str| Answer::read(text.as_bytes()).map(|answer| answer.say);
    let detected = |sure| Say::Detect(Detected { sure, ..Detected::default() });
    assert_eq!(read(r#"{"protocol":1,"answer":"detect","sure":0}"#).unwrap(), detected(0));
    assert_eq!(read(r#"{"protocol":1,"answer":"detect","sure":100,"later":{}}"#).unwrap(), detected(100));
}

#[test]
fn foreign_words_are_refused_with_a_sentence() {
    let said = |text: &str| Answer::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(said(" \n"), "nothing was said");
    assert_eq!(
        said(r#"{"protocol":2,"answer":"sing"}"#),
        "version 2 of the chefs' protocol was spoken, and version 1 is understood"
    );
    assert_eq!(
        said(r#"{"protocol":1,"answer":"detect","sure":101}"#),
        "`sure` is 101, and goes from 0 to 100"
    );
    for text in [
        "hello",
        "[]",
        "{}",
        r#"{"protocol":1}"#,
        r#"{"protocol":1,"answer":"sing"}"#,
        r#"{"protocol":1,"answer":"detect","sure":-1}"#,
        r#"{"protocol":1,"answer":"plan","file":[]}"#,
        r#"{"protocol":1,"answer":"detect","sure":1} more"#,
    ] {
        assert_eq!(said(text), "it is not in the form of the chefs' protocol", "{text}");
    }
    let twice = r#"{"protocol":1,"answer":"plan","file":{"step":{"a":{"run":"x"},"a":{"run":"y"}}}}"#;
    let Err(BadWords::Form(why)) = Answer::read(twice.as_bytes()) else { panic!("{twice}") };
    assert!(why.to_string().starts_with("`a` stands there twice"), "{why}");
    let long = vec![b' '; MAX_ANSWER as usize + 1];
    assert!(matches!(Answer::read(&long), Err(BadWords::TooLong)));
}
