//! BDAT and BINARYMIME (RFC 3030).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use crate::common::{ask, broken, codes, greeted, read, rules};
use proptest::prelude::*;
use smtp_test::{Action, Config, Log, Machine, Peer, Rule, Script, Split, Stage};

const ENVELOPE: &str = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n";

fn chunking() -> Config {
    Config::new().with("CHUNKING").with("BINARYMIME")
}

fn bodies(log: &Log) -> Vec<Vec<u8>> {
    log.mails()
        .iter()
        .map(|mail| mail.body().to_vec())
        .collect()
}

#[test]
fn chunks_make_up_one_message_of_exactly_their_bytes() {
    let mut machine = greeted(&chunking());
    assert_eq!(codes(&mut machine, ENVELOPE), [250, 250]);
    assert_eq!(codes(&mut machine, "BDAT 7\r\na: b\r\n\r"), [250]);
    assert_eq!(codes(&mut machine, "BDAT 0\r\n"), [250]);
    assert_eq!(codes(&mut machine, "BDAT 8\r\n\n.\r\nQUIT"), [250]);
    assert_eq!(codes(&mut machine, "bdat 2 last\r\n\r\n"), [250]);
    assert_eq!(bodies(&machine.log()), [b"a: b\r\n\r\n.\r\nQUIT\r\n"]);
    machine.log().assert_clean();
    assert!(
        machine
            .log()
            .session()
            .lines()
            .contains(&"C: <chunk of 8 bytes>".to_owned())
    );
}

#[test]
fn an_empty_last_chunk_ends_a_message() {
    let mut machine = greeted(&chunking());
    assert_eq!(
        codes(
            &mut machine,
            format!("{ENVELOPE}BDAT 3\r\na\r\nBDAT 0 LAST\r\n")
        ),
        [250; 4]
    );
    assert_eq!(
        codes(&mut machine, format!("{ENVELOPE}BDAT 0 LAST\r\n")),
        [250; 3]
    );
    assert_eq!(bodies(&machine.log()), [b"a\r\n".as_slice(), b""]);
    machine.log().assert_clean();
}

#[test]
fn several_mails_in_one_flight_are_taken() {
    let mut machine = greeted(&chunking());
    let flight = format!("{ENVELOPE}BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n").repeat(3);
    assert_eq!(codes(&mut machine, flight), [250; 12]);
    assert_eq!(bodies(&machine.log()), [b"a\r\nb\r\n"; 3]);
    assert_eq!(machine.log().session().round_trips(), 2);
    machine.log().assert_clean();
}

#[test]
fn without_pipelining_each_chunk_waits_for_its_reply() {
    let config = chunking().without("PIPELINING");
    let mut machine = greeted(&config);
    for step in [
        "MAIL FROM:<a@x.test>\r\n",
        "RCPT TO:<b@x.test>\r\n",
        "BDAT 1\r\nx",
        "BDAT 0 LAST\r\n",
    ] {
        assert_eq!(codes(&mut machine, step), [250]);
    }
    machine.log().assert_clean();
    assert_eq!(broken(&config, ENVELOPE), [Rule::NotPipelining]);
}

#[test]
fn text_in_chunks_is_held_to_the_rules_of_text() {
    for (body, rule) in [
        (b"a\nbc".as_slice(), Rule::BareLf),
        (b"a\rbc", Rule::BareCr),
        (b"abc\r", Rule::BareCr),
        (b"a\0bc", Rule::Nul),
        (b"a\xffbc", Rule::EightBit),
    ] {
        let send = |mail: &str| {
            let head = format!("{mail}\r\nRCPT TO:<b@x.test>\r\nBDAT 4 LAST\r\n");
            [head.as_bytes(), body].concat()
        };
        let flight = send("MAIL FROM:<a@x.test>");
        assert_eq!(
            broken(&chunking(), flight),
            [rule],
            "{}",
            body.escape_ascii()
        );
        let mut machine = greeted(&chunking());
        ask(&mut machine, send("MAIL FROM:<a@x.test> BODY=BINARYMIME"));
        assert_eq!(bodies(&machine.log()), [body]);
        machine.log().assert_clean();
    }
    let flight =
        "MAIL FROM:<a@x.test> BODY=8BITMIME\r\nRCPT TO:<b@x.test>\r\nBDAT 2 LAST\r\n\u{e4}";
    assert_eq!(broken(&chunking(), flight), []);
}

#[test]
fn chunks_out_of_place_are_swallowed_and_held_against_the_client() {
    let cases: [(&str, Vec<u16>, Vec<Rule>); 10] = [
        ("BDAT 4 LAST\r\nQUIT", vec![503], vec![Rule::OutOfSequence]),
        (
            "MAIL FROM:<a@x.test>\r\nBDAT 4 LAST\r\nQUIT",
            vec![250, 554],
            vec![Rule::OutOfSequence],
        ),
        // Rejected in the same flight: the client could not know.
        (
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<no@x.test>\r\nBDAT 4 LAST\r\nQUIT",
            vec![250, 550, 554],
            vec![],
        ),
        (
            "MAIL FROM:<a@x.test> SIZE=999\r\nRCPT TO:<b@x.test>\r\nBDAT 4 LAST\r\nQUIT",
            vec![552, 503, 503],
            vec![],
        ),
        // RFC 3030, section 2 and 3: never together with DATA.
        (
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 4\r\nQUITDATA\r\n",
            vec![250, 250, 250, 503],
            vec![Rule::OutOfSequence],
        ),
        (
            "MAIL FROM:<a@x.test> BODY=BINARYMIME\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
            vec![250, 250, 503],
            vec![Rule::OutOfSequence],
        ),
        (
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 1\r\nxRCPT TO:<c@x.test>\r\n",
            vec![250, 250, 250, 503],
            vec![Rule::OutOfSequence],
        ),
        (
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 1\r\nxMAIL FROM:<c@x.test>\r\n",
            vec![250, 250, 250, 503],
            vec![Rule::OutOfSequence],
        ),
        // Too big, and all after it in the flight too; RSET helps.
        (
            "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 9\r\n123456789BDAT 0\r\nRSET\r\nMAIL FROM:<a@x.test>\r\n",
            vec![250, 250, 552, 503, 250, 250],
            vec![],
        ),
        ("BDAT 1x\r\n", vec![501], vec![Rule::Syntax]),
    ];
    let config = chunking().reject("no@x.test", "550 5.1.1 no").size_limit(8);
    for (flight, expected, rules) in cases {
        assert_eq!(codes(&mut greeted(&config), flight), expected, "{flight}");
        assert_eq!(broken(&config, flight), rules, "{flight}");
    }
    let flight = format!("{ENVELOPE}BDAT 6 LAST\r\nNOOP\r\n");
    assert_eq!(
        codes(&mut greeted(&Config::new()), &flight),
        [250, 250, 500, 250],
        "a server that knows no BDAT"
    );
    assert_eq!(broken(&Config::new(), &flight), [Rule::NotAdvertised]);
}

#[test]
fn data_and_chunks_may_take_turns_between_mails() {
    let mut machine = greeted(&chunking());
    ask(&mut machine, format!("{ENVELOPE}DATA\r\n"));
    ask(
        &mut machine,
        format!("a\r\n.\r\n{ENVELOPE}BDAT 3 LAST\r\nb\r\n{ENVELOPE}DATA\r\n"),
    );
    ask(&mut machine, "c\r\n.\r\n");
    assert_eq!(bodies(&machine.log()), [b"a\r\n", b"b\r\n", b"c\r\n"]);
    machine.log().assert_clean();
}

#[test]
fn no_chunk_may_follow_the_reply_that_rejected_one() {
    let config = chunking().on(Stage::Bdat(1).nth(1), Action::reply("452 4.3.1 disk full"));
    let mut machine = greeted(&config);
    assert_eq!(
        codes(&mut machine, format!("{ENVELOPE}BDAT 1\r\nxBDAT 1\r\ny")),
        [250, 250, 452, 503]
    );
    machine.log().assert_clean();
    assert_eq!(codes(&mut machine, "BDAT 1\r\nz"), [503]);
    assert_eq!(rules(&machine.log()), [Rule::OutOfSequence]);

    // Over a network, the chunk may have been under way.
    let mut machine = greeted(&config);
    machine.handle_network();
    ask(&mut machine, format!("{ENVELOPE}BDAT 1\r\nx"));
    assert_eq!(codes(&mut machine, "BDAT 1\r\nyRSET\r\n"), [503, 250]);
    assert_eq!(
        codes(&mut machine, format!("{ENVELOPE}BDAT 1 LAST\r\nz")),
        [250; 3]
    );
    machine.log().assert_clean();
    assert_eq!(bodies(&machine.log()), [b"z"]);
}

#[test]
fn a_rejected_last_chunk_ends_the_transaction_or_leaves_it_open_in_strict_servers() {
    let flights = [
        "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 1 LAST\r\n1",
        "MAIL FROM:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nBDAT 1 LAST\r\n2",
    ];
    let rejecting =
        |config: Config| config.on(Stage::BdatLast.nth(1), Action::reply("451 4.3.0 later"));
    let run = |config: &Config, between: &str| {
        let mut machine = greeted(config);
        let codes = codes(&mut machine, [flights[0], between, flights[1]].concat());
        machine.log().assert_clean();
        let mail = machine.log().mails().remove(0);
        assert_eq!(
            (machine.log().mails().len(), mail.body()),
            (1, b"2".as_slice())
        );
        let addresses: Vec<String> = mail.addresses().into_iter().map(str::to_owned).collect();
        (codes, mail.sender().to_owned(), addresses.join(" "))
    };
    let good = ("c@x.test".to_owned(), "d@x.test".to_owned());
    let (codes, sender, recipients) = run(&rejecting(chunking()), "");
    assert_eq!(codes, [250, 250, 451, 250, 250, 250]);
    assert_eq!((sender, recipients), good);
    let strict = rejecting(chunking().strict_bdat());
    let (codes, sender, recipients) = run(&strict, "RSET\r\n");
    assert_eq!(codes, [250, 250, 451, 250, 250, 250, 250]);
    assert_eq!((sender, recipients), good);
    let (codes, sender, recipients) = run(&strict, "");
    assert_eq!(codes, [250, 250, 451, 503, 250, 250]);
    assert_eq!(
        (sender.as_str(), recipients.as_str()),
        ("a@x.test", "b@x.test d@x.test")
    );
}

#[test]
fn chunks_have_stages() {
    let config = chunking()
        .on(Stage::Bdat(2), Action::reply("250 second"))
        .on(Stage::Body(3), Action::normal().then("250 stray\r\n"))
        .on(Stage::BdatLast, Action::reply("250 last").then_close());
    let mut machine = greeted(&config);
    let flight = format!("{ENVELOPE}BDAT 2\r\nabBDAT 2\r\ncdBDAT 0 LAST\r\n");
    assert_eq!(
        ask(&mut machine, flight),
        "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 ok\r\n250 stray\r\n250 second\r\n250 last\r\n<Close>"
    );
    let mut machine = greeted(&chunking().on(Stage::Body(3), Action::cut()));
    assert_eq!(
        ask(&mut machine, format!("{ENVELOPE}BDAT 9\r\nabcdef")),
        "250 2.1.0 ok\r\n250 2.1.5 ok\r\n<Cut>"
    );
    let lost = chunking().on(Stage::EndOfData, Action::silent());
    let mut machine = greeted(&lost);
    assert_eq!(
        codes(&mut machine, format!("{ENVELOPE}BDAT 1 LAST\r\nx")),
        [250, 250]
    );
    assert_eq!(bodies(&machine.log()), [b"x"]);
}

#[test]
fn what_a_client_knows_of_rejections_is_exact_in_memory() {
    let config = chunking().reject("no@x.test", "550 no");
    let envelope = "MAIL FROM:<a@x.test>\r\nRCPT TO:<no@x.test>\r\n";
    for end in ["DATA\r\n", "BDAT 0 LAST\r\n"] {
        assert_eq!(broken(&config, format!("{envelope}{end}")), [], "{end}");
        let mut machine = greeted(&config);
        ask(&mut machine, envelope);
        ask(&mut machine, end);
        assert_eq!(rules(&machine.log()), [Rule::OutOfSequence], "{end}");
    }
}

#[test]
fn binary_mail_needs_both_extensions() {
    let flight = "MAIL FROM:<a@x.test> BODY=BINARYMIME\r\n";
    assert_eq!(broken(&chunking(), flight), []);
    assert_eq!(
        broken(&chunking().without("BINARYMIME"), flight),
        [Rule::NotAdvertised]
    );
    assert_eq!(
        broken(&chunking().without("CHUNKING"), flight),
        [Rule::NotAdvertised]
    );
}

#[test]
fn scripts_take_chunks_of_any_bytes() {
    let script: Script = r"
        S: 220 mail.test
        C: BDAT 6 LAST
        C: <chunk 6>
        C: QUIT
        S: 250 ok
        S: 221 bye
        S: <eof>
    "
    .parse()
    .unwrap();
    let play = |flight: &[u8]| {
        let mut player = script.play(Split::Whole);
        let report = player.report();
        while player.poll_output().is_some() {}
        for byte in flight {
            player.handle_input(&[*byte]);
        }
        while player.poll_output().is_some() {}
        report
    };
    let report = play(b"BDAT 6 LAST\r\n\n.\r\n\0\xffQUIT\r\n");
    report.assert_done();
    assert_eq!(report.bodies(), [b"\n.\r\n\0\xff"]);
    let short = play(b"BDAT 6 LAST\r\nx\r\nQUIT\r\n");
    assert_eq!(short.verdict().unwrap_err().line(), Some(5));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order and pieces, in each protocol: the same is said, recorded
    /// and stored.
    #[test]
    fn any_split_of_any_commands_is_the_same(
        lines in prop::collection::vec(prop_oneof![
            Just("MAIL FROM:<a@x.test>\r\n"), Just("MAIL FROM:<c@x.test> BODY=BINARYMIME\r\n"),
            Just("RCPT TO:<b@x.test>\r\n"), Just("RCPT TO:<d@x.test>\r\n"), Just("RCPT TO:<no@x.test>\r\n"),
            Just("BDAT 0\r\n"), Just("BDAT 0 LAST\r\n"), Just("BDAT 3\r\na\r\n"), Just("BDAT 4 LAST\r\n\n\0\u{ff}"),
            Just("BDAT 9 LAST\r\nDATA\r\n.\r\n"), Just("DATA\r\n"), Just(".\r\n"), Just("RSET\r\n"),
        ], 1..16),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        lmtp in any::<bool>(),
        strict in any::<bool>(),
        hook in 1_u64..12,
    ) {
        let hello = if lmtp { "LHLO client.test\r\n" } else { "EHLO client.test\r\n" };
        let mut config = chunking()
            .reject("no@x.test", "550 no")
            .reject_delivery("d@x.test", "450 later")
            .size_limit(12)
            .on(Stage::Body(hook), Action::raw("250 stray\r\n"))
            .on(Stage::Bdat(2).nth(1), Action::reply("452 no"));
        if lmtp {
            config = config.lmtp();
        }
        if strict {
            config = config.strict_bdat();
        }
        let input = lines.concat().into_bytes();
        let run = |cuts: &[usize]| {
            let mut machine = Machine::new(&config);
            read(&mut machine);
            ask(&mut machine, hello);
            let mut start = 0;
            for &cut in cuts.iter().chain([&input.len()]) {
                machine.handle_input(&input[start..cut]);
                start = cut;
            }
            machine.handle_eof();
            let said = read(&mut machine);
            let session = machine.log().session();
            (said, session.violations().to_vec(), session.transcript(), machine.log().mails())
        };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(run(&cuts), run(&[]));
    }
}
