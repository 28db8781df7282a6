//! The index of the scenarios by RFC and section, `tests/scenarios/README.md`.
//!
//! The first line of a scenario names the sections of its subject, `RFC 5321, section 4.2.1` or
//! `RFC 5322, sections 3.5 and 3.6`; the index is generated from these lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::common::scenario;

#[test]
fn the_index_lists_every_scenario_by_rfc_and_section() {
    let path = scenario::folder().join("README.md");
    let generated = index();
    if std::env::var_os("SCENARIO_INDEX").is_some() {
        fs::write(&path, &generated).expect("a folder that can be written to");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "the index of the scenarios is out of date; this command generates it anew:\n    {COMMAND}"
    );
}

#[test]
fn references_are_found_in_a_first_line() {
    let found = |line| {
        let references = references(line)?.into_iter();
        Some(references.map(|each| each.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(
        found("# RFC 5321, section 4.2.1."),
        ["RFC 5321, 4.2.1"].map(String::from).to_vec().into()
    );
    assert_eq!(
        found("# RFC 5321, sections 4.1.2, 4.1.3 and 4.5.1; RFC 3030, section 2: 3yz."),
        [
            "RFC 3030, 2",
            "RFC 5321, 4.1.2",
            "RFC 5321, 4.1.3",
            "RFC 5321, 4.5.1"
        ]
        .map(String::from)
        .to_vec()
        .into()
    );
    assert_eq!(
        found("# In order (RFC 5321, section 4.3.2, 3yz; RFC 5321, appendix D.1)."),
        ["RFC 5321, 4.3.2", "RFC 5321, D.1"]
            .map(String::from)
            .to_vec()
            .into()
    );
    assert_eq!(
        found("# XCLIENT_README of Postfix: 220."),
        ["XCLIENT_README, "].map(String::from).to_vec().into()
    );
    assert_eq!(found("# A reply is a reply."), None);
    // An RFC alone does not say where to look.
    assert_eq!(found("# RFC 5321 has it."), None);
    assert_eq!(found("# RFC 5321, section 4.2, and RFC 3030."), None);
}

fn index() -> String {
    let mut documents = BTreeMap::<Document, Vec<(Reference, String)>>::new();
    for name in scenario::names() {
        let text = scenario::read(&name);
        let first = text.lines().next().unwrap_or_default();
        let Some(references) = references(first) else {
            panic!(
                "{name}: the first line names no section of an RFC, or an RFC without one: {first}"
            );
        };
        for reference in references {
            let of_document = documents.entry(reference.document.clone()).or_default();
            of_document.push((reference, name.clone()));
        }
    }
    let mut index = INTRODUCTION.replace("COMMAND", COMMAND);
    for (document, mut scenarios) in documents {
        scenarios.sort();
        write!(
            index,
            "\n## {}\n| section | scenario |\n| --- | --- |\n",
            document.title()
        )
        .unwrap();
        for (reference, name) in scenarios {
            let (topic, sentence) = name.split_once('/').expect("a topic");
            let sentence = sentence.replace('_', " ");
            let section = reference.section();
            writeln!(index, "| {section} | {topic}: [{sentence}]({name}.txt) |").unwrap();
        }
    }
    index
}

/// The sections that a first line names, in order; `None` if there is no reference, or one without
/// a section.
fn references(line: &str) -> Option<Vec<Reference>> {
    let mut found = Vec::new();
    for name in ["XCLIENT_README", "XFORWARD_README"] {
        if line.contains(name) {
            found.push(Reference {
                document: Document::Postfix(name),
                section: Vec::new(),
            });
        }
    }
    for (at, rfc) in line.match_indices("RFC ") {
        let rest = &line[at + rfc.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        let document = Document::Rfc(number.parse().ok()?);
        let one = |word| rest.strip_prefix(word).map(|rest| (rest, false));
        let several = || rest.strip_prefix(", sections ").map(|rest| (rest, true));
        let (mut rest, is_list) = one(", section ")
            .or_else(|| one(", appendix "))
            .or_else(several)?;
        loop {
            let end =
                rest.find(|c: char| !(c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.'));
            let (section, after) = rest.split_at(end.unwrap_or(rest.len()));
            let section = section.trim_end_matches('.').split('.').map(Part::parse);
            found.push(Reference {
                document: document.clone(),
                section: section.collect::<Option<_>>()?,
            });
            let next = after
                .strip_prefix(", ")
                .or_else(|| after.strip_prefix(" and "));
            match next.filter(|next| is_list && next.starts_with(|c: char| c.is_ascii_digit())) {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    found.sort();
    found.dedup();
    (!found.is_empty()).then_some(found)
}

/// A section of a standard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    document: Document,
    section: Vec<Part>,
}

impl Reference {
    fn section(&self) -> String {
        let parts = self.section.iter().map(|part| match part {
            Part::Number(number) => number.to_string(),
            Part::Letter(letter) => letter.to_string(),
        });
        parts.collect::<Vec<_>>().join(".")
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.document {
            Document::Rfc(number) => write!(f, "RFC {number}, {}", self.section()),
            Document::Postfix(name) => write!(f, "{name}, {}", self.section()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Document {
    Rfc(u32),
    /// The definition of an extension that has no RFC.
    Postfix(&'static str),
}

impl Document {
    fn title(&self) -> String {
        match self {
            Self::Rfc(number) => {
                let title = TITLES.iter().find(|(rfc, _)| rfc == number);
                let (_, title) =
                    title.unwrap_or_else(|| panic!("RFC {number} wants its title here"));
                format!("RFC {number}: {title}")
            }
            Self::Postfix(name) => format!("{name} of Postfix"),
        }
    }
}

/// The number of a section, or the letter of an appendix, which comes after all numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u32),
    Letter(char),
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(letter), None) if letter.is_ascii_uppercase() => Some(Self::Letter(letter)),
            _ => text.parse().ok().map(Self::Number),
        }
    }
}

const COMMAND: &str =
    "SCENARIO_INDEX=write cargo test --package smtp-proto --test suite scenario_index";

const INTRODUCTION: &str = "# Scenarios by RFC and section
A scenario is what a caller does, what goes over the wire, and what the caller is told. Its folder
is its topic; its first line names the sections of the standards that it shows. The format is
described in `smtp-proto/tests/common/scenario.rs`. This index is generated:

    COMMAND
";

const TITLES: [(u32, &str); 26] = [
    (1870, "SMTP Service Extension for Message Size Declaration"),
    (2033, "Local Mail Transfer Protocol"),
    (
        2034,
        "SMTP Service Extension for Returning Enhanced Error Codes",
    ),
    (2852, "Deliver By SMTP Service Extension"),
    (2920, "SMTP Service Extension for Command Pipelining"),
    (
        3030,
        "SMTP Service Extensions for Transmission of Large and Binary MIME Messages",
    ),
    (
        3207,
        "SMTP Service Extension for Secure SMTP over Transport Layer Security",
    ),
    (
        3461,
        "SMTP Service Extension for Delivery Status Notifications",
    ),
    (3463, "Enhanced Mail System Status Codes"),
    (4422, "Simple Authentication and Security Layer"),
    (4616, "The PLAIN SASL Mechanism"),
    (
        4865,
        "SMTP Submission Service Extension for Future Message Release",
    ),
    (4954, "SMTP Service Extension for Authentication"),
    (5321, "Simple Mail Transfer Protocol"),
    (5322, "Internet Message Format"),
    (6152, "SMTP Service Extension for 8-bit MIME Transport"),
    (6409, "Message Submission for Mail"),
    (6531, "SMTP Extension for Internationalized Email"),
    (6532, "Internationalized Email Headers"),
    (
        6533,
        "Internationalized Delivery Status and Disposition Notifications",
    ),
    (
        6750,
        "The OAuth 2.0 Authorization Framework: Bearer Token Usage",
    ),
    (7504, "SMTP 521 and 556 Reply Codes"),
    (7628, "A Set of SASL Mechanisms for OAuth"),
    (8314, "Use of TLS for Email Submission and Access"),
    (8689, "SMTP Require TLS Option"),
    (9422, "The LIMITS SMTP Service Extension"),
];
