//! The mechanisms of SASL, against the examples of the standards and a client that was written
//! apart.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use crate::common;

use std::io::{BufRead, BufReader, Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{ask, greeted, rules};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use smtp_test::{Config, Machine, MemoryServer, Peer, Rule, Scram, ScramDefect, Tls, TlsInfo};

fn encode(text: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(text)
}

/// Says AUTH and the responses, all in cleartext here, and gives each answer, challenges decoded.
fn talk(machine: &mut Machine, mechanism: &str, responses: &[&str]) -> Vec<String> {
    let mut answers = Vec::new();
    for (at, response) in responses.iter().enumerate() {
        let line = match (at, *response) {
            (0, "") => format!("AUTH {mechanism}\r\n"),
            (0, "=") => format!("AUTH {mechanism} =\r\n"),
            (0, response) => format!("AUTH {mechanism} {}\r\n", encode(response)),
            (_, response) => format!("{}\r\n", encode(response)),
        };
        let answer = ask(machine, line);
        answers.push(match answer.strip_prefix("334 ") {
            Some(challenge) => {
                let challenge = BASE64_STANDARD.decode(challenge.trim_end()).unwrap();
                format!("334 {}", String::from_utf8(challenge).unwrap())
            }
            None => answer[..3].to_owned(),
        });
    }
    answers
}

/// The answers of a fresh server, and the rules that were broken.
fn login(config: &Config, mechanism: &str, responses: &[&str]) -> (Vec<String>, Vec<Rule>) {
    let mut machine = greeted(config);
    let answers = talk(&mut machine, mechanism, responses);
    (answers, rules(&machine.log()))
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// A client's final message of SCRAM-SHA-256, and the signature that it expects.
fn scram(
    password: &str,
    header: &str,
    channel: &[u8],
    bare: &str,
    challenge: &str,
) -> (String, String) {
    let parts: Vec<&str> = challenge.split(',').collect();
    let salt = BASE64_STANDARD.decode(&parts[1][2..]).unwrap();
    let mut block = hmac(password.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
    let mut salted = block.clone();
    for _ in 1..parts[2][2..].parse::<usize>().unwrap() {
        block = hmac(password.as_bytes(), &block);
        salted = salted.iter().zip(&block).map(|(a, b)| a ^ b).collect();
    }
    let binding = encode([header.as_bytes(), channel].concat());
    let without_proof = format!("c={binding},{}", parts[0]);
    let message = format!("{bare},{challenge},{without_proof}");
    let client_key = hmac(&salted, b"Client Key");
    let mask = hmac(&Sha256::digest(&client_key), message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(&mask).map(|(a, b)| a ^ b).collect();
    let signature = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
    (
        format!("{without_proof},p={}", encode(proof)),
        format!("v={}", encode(signature)),
    )
}

#[test]
fn the_examples_of_the_standards_succeed() {
    // RFC 5802 section 5, RFC 7677 section 3, and the second with the longer hash.
    for (mechanism, client, server, salt, proof, signature) in [
        (
            "SCRAM-SHA-1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "3rfcNHYJY1ZVvWVs7j",
            "QSXCR+Q6sek8bf92",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            "SCRAM-SHA-256",
            "rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
        (
            "SCRAM-SHA-512",
            "rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
            "ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
        ),
    ] {
        let scram = Scram::new()
            .salt(BASE64_STANDARD.decode(salt).unwrap())
            .nonce(server);
        let config = Config::new()
            .user("user", "pencil")
            .mechanisms([mechanism])
            .scram(scram);
        let mut machine = greeted(&config);
        let first = format!("n,,n=user,r={client}");
        let last = format!("c=biws,r={client}{server},p={proof}");
        assert_eq!(
            talk(&mut machine, mechanism, &[&first, &last, ""]),
            [
                format!("334 r={client}{server},s={salt},i=4096"),
                format!("334 v={signature}"),
                "235".to_owned()
            ]
        );
        assert_eq!(machine.log().session().authenticated_as(), Some("user"));
        machine.log().assert_clean();
        let other = last.replacen("p=", "p=AAAA", 1);
        assert_eq!(login(&config, mechanism, &[&first, &other]).0[1], "535");
    }
}

#[test]
fn a_name_with_a_comma_and_a_password_over_ascii_are_found() {
    let config = Config::new()
        .user("a,b=c", "p\u{e4}ss")
        .mechanisms(["SCRAM-SHA-256"])
        .scram(Scram::new().iterations(2));
    let mut machine = greeted(&config);
    let challenge = talk(
        &mut machine,
        "SCRAM-SHA-256",
        &["n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x"],
    )
    .remove(0);
    let (last, signature) = scram(
        "p\u{e4}ss",
        "n,a=a=2Cb=3Dc,",
        b"",
        "n=a=2Cb=3Dc,r=x",
        &challenge[4..],
    );
    assert_eq!(
        ask(&mut machine, encode(last) + "\r\n"),
        format!("334 {}\r\n", encode(signature))
    );
    assert!(ask(&mut machine, "\r\n").starts_with("235"));
    machine.log().assert_clean();
}

#[test]
fn wrong_messages_of_scram_are_held_against_the_client() {
    let config = Config::new()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]);
    for first in [
        "",
        "n,,",
        "n,,n=user",
        "n,,n=,r=x",
        "n,,n=user,r=",
        "n,,n=us=er,r=x",
        "x,,n=user,r=x",
        "p=tls-exporter,,n=user,r=x",
        "y,,n=user,r=x",
        "n,user,n=user,r=x",
    ] {
        let first = if first.is_empty() { "=" } else { first };
        assert_eq!(
            login(&config, "SCRAM-SHA-256", &[first]),
            (vec!["501".to_owned()], vec![Rule::Sasl]),
            "{first}"
        );
    }
    for last in ["", "c=biws,r=other,p=AAAA", "c=biws,p=AAAA", "r=x,p=AAAA"] {
        let (answers, rules) = login(&config, "SCRAM-SHA-256", &["n,,n=user,r=x", last]);
        assert_eq!(
            (answers[1].as_str(), rules),
            ("501", vec![Rule::Sasl]),
            "{last}"
        );
    }
    for first in [
        "n,,n=user,r=x",
        "p=tls-exporter,,n=user,r=x",
        "p=tls-unique,,n=user,r=x",
    ] {
        assert_eq!(
            login(&config, "SCRAM-SHA-256-PLUS", &[first]).1,
            [Rule::Sasl],
            "no TLS, no channel: {first}"
        );
    }
    let without = Config::new()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256"]);
    assert_eq!(login(&without, "SCRAM-SHA-256", &["y,,n=user,r=x"]).1, []);
    assert_eq!(
        login(&without, "SCRAM-SHA-1", &["n,,n=user,r=x"]).1,
        [Rule::NotAdvertised]
    );
    assert_eq!(
        login(&without, "SCRAM-SHA-256", &["n,a=root,n=user,r=x"]),
        (vec!["535".to_owned()], vec![])
    );
}

#[test]
fn a_bad_server_misbehaves_as_told() {
    let first = "n,,n=user,r=x";
    let run = |scram_settings: Scram| {
        let config = Config::new()
            .user("user", "pencil")
            .mechanisms(["SCRAM-SHA-256"])
            .scram(scram_settings.nonce("y"));
        let mut machine = greeted(&config);
        let challenge = talk(&mut machine, "SCRAM-SHA-256", &[first]).remove(0);
        let challenge = challenge.strip_prefix("334 ").unwrap().to_owned();
        let (last, signature) = scram(
            "pencil",
            "n,,",
            b"",
            &first[3..],
            challenge.trim_start_matches("m=unknown,"),
        );
        let answer = ask(&mut machine, encode(last) + "\r\n");
        (challenge, answer, format!("334 {}\r\n", encode(signature)))
    };
    let few = || Scram::new().iterations(1);
    let (challenge, answer, good) = run(few());
    assert!(challenge.starts_with("r=xy,s=") && challenge.ends_with(",i=1"));
    assert_eq!(answer, good);
    let (_, answer, good) = run(few().defect(ScramDefect::WrongSignature));
    assert!(answer.starts_with("334 dj") && answer != good);
    assert!(
        run(few().defect(ScramDefect::NoSignature))
            .1
            .starts_with("235 ")
    );
    assert_eq!(run(few().defect(ScramDefect::EmptyFinal)).1, "334 \r\n");
    assert_eq!(
        run(few().defect(ScramDefect::ErrorThenSuccess)).1,
        format!("334 {}\r\n", encode("e=other-error"))
    );
    assert!(
        run(few().defect(ScramDefect::ForeignNonce))
            .0
            .starts_with("r=y,")
    );
    assert!(
        run(few().defect(ScramDefect::SameNonce))
            .0
            .starts_with("r=x,")
    );
    assert!(
        run(few().defect(ScramDefect::MandatoryExtension))
            .0
            .starts_with("m=unknown,r=xy,")
    );
    // The client gives up, so neither side computes them.
    let config = Config::new()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256"])
        .scram(Scram::new().iterations(u32::MAX));
    assert!(login(&config, "SCRAM-SHA-256", &[first]).0[0].ends_with("i=4294967295"));
}

/// Logs in over real TLS by a channel binding; `spoil` simulates a man in the middle.
fn login_bound(tls: &Tls, name: &str, spoil: bool) -> (String, Vec<Rule>) {
    let config = Config::new()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256-PLUS"])
        .scram(Scram::new().iterations(3))
        .tls(tls.clone())
        .implicit_tls();
    let server = MemoryServer::new(&config);
    let log = server.log();
    let host = "localhost".try_into().unwrap();
    let client = rustls::ClientConnection::new(tls.client_config(), host).unwrap();
    let mut stream = BufReader::new(rustls::StreamOwned::new(client, server));
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let mut ask = |text: String| {
        stream.get_mut().write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            stream.read_line(&mut line).unwrap();
        }
        (
            line,
            stream
                .get_ref()
                .conn
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
                .unwrap()
                .to_vec(),
        )
    };
    let (_, mut channel) = ask("EHLO client.test\r\n".to_owned());
    if name == "tls-server-end-point" {
        channel = tls.end_point().unwrap();
    }
    channel[0] ^= u8::from(spoil);
    let header = format!("p={name},,");
    let (challenge, _) = ask(format!(
        "AUTH SCRAM-SHA-256-PLUS {}\r\n",
        encode(format!("{header}n=user,r=x"))
    ));
    let challenge = BASE64_STANDARD.decode(challenge[4..].trim_end()).unwrap();
    let challenge = String::from_utf8(challenge).unwrap();
    let (last, signature) = scram("pencil", &header, &channel, "n=user,r=x", &challenge);
    let (answer, _) = ask(encode(last) + "\r\n");
    if answer == format!("334 {}\r\n", encode(signature)) {
        return (ask("\r\n".to_owned()).0, rules(&log));
    }
    (answer, rules(&log))
}

#[test]
fn channel_bindings_are_those_of_tls() {
    for tls in [Tls::new(), Tls::new().only_tls12(), Tls::new().only_tls13()] {
        for name in ["tls-exporter", "tls-server-end-point"] {
            let (answer, rules) = login_bound(&tls, name, false);
            assert_eq!((&answer[..3], rules), ("235", vec![]), "{name}");
            let (answer, rules) = login_bound(&tls, name, true);
            assert_eq!((&answer[..3], rules), ("535", vec![]), "{name}");
        }
    }
}

#[test]
fn a_pretended_tls_can_have_a_channel_binding() {
    let config = Config::new()
        .implicit_tls()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256-PLUS"])
        .scram(Scram::new().iterations(1));
    let mut machine = Machine::new(&config);
    assert!(machine.poll_upgrade());
    machine.handle_tls(TlsInfo::pretended().with_binding("tls-exporter", "data"));
    common::read(&mut machine);
    ask(&mut machine, "EHLO client.test\r\n");
    let header = "p=tls-exporter,,";
    let challenge = talk(
        &mut machine,
        "SCRAM-SHA-256-PLUS",
        &[&format!("{header}n=user,r=x")],
    )
    .remove(0);
    let (last, _) = scram("pencil", header, b"data", "n=user,r=x", &challenge[4..]);
    assert!(ask(&mut machine, encode(last) + "\r\n").starts_with("334 dj"));
    assert!(ask(&mut machine, "\r\n").starts_with("235"));
    machine.log().assert_clean();
}

#[test]
fn tokens_are_taken_in_both_forms() {
    let config = Config::new()
        .token("alice", "secret")
        .mechanisms(["XOAUTH2", "OAUTHBEARER"]);
    let run = |mechanism: &str, responses: &[&str]| {
        let (answers, rules) = login(&config, mechanism, responses);
        (answers.last().unwrap()[..3].to_owned(), rules)
    };
    let good = ("235".to_owned(), vec![]);
    let denied = ("535".to_owned(), vec![]);
    let wrong = ("501".to_owned(), vec![Rule::Sasl]);
    assert_eq!(
        run(
            "OAUTHBEARER",
            &["n,a=alice,\u{1}host=mail.test\u{1}port=587\u{1}auth=Bearer secret\u{1}\u{1}"]
        ),
        good
    );
    assert_eq!(
        run("OAUTHBEARER", &["n,,\u{1}auth=Bearer secret\u{1}\u{1}"]),
        good
    );
    assert_eq!(
        run(
            "OAUTHBEARER",
            &["n,a=alice,\u{1}auth=Bearer old\u{1}\u{1}", "\u{1}"]
        ),
        denied
    );
    assert_eq!(
        run(
            "OAUTHBEARER",
            &["n,a=bob,\u{1}auth=Bearer secret\u{1}\u{1}", "\u{1}"]
        ),
        denied
    );
    assert_eq!(
        run(
            "OAUTHBEARER",
            &["n,a=alice,\u{1}auth=Bearer old\u{1}\u{1}", ""]
        ),
        wrong
    );
    assert_eq!(
        run("OAUTHBEARER", &["n,a=alice,\u{1}auth=secret\u{1}\u{1}"]),
        wrong
    );
    assert_eq!(
        run("OAUTHBEARER", &["n,a=alice,\u{1}auth=Bearer secret\u{1}"]),
        wrong
    );
    assert_eq!(
        run(
            "OAUTHBEARER",
            &["p=x,a=alice,\u{1}auth=Bearer secret\u{1}\u{1}"]
        ),
        wrong
    );
    assert_eq!(
        run("XOAUTH2", &["user=alice\u{1}auth=Bearer secret\u{1}\u{1}"]),
        good
    );
    assert_eq!(
        run("XOAUTH2", &["user=alice\u{1}auth=Bearer old\u{1}\u{1}", ""]),
        denied
    );
    assert_eq!(
        run(
            "XOAUTH2",
            &["user=alice\u{1}auth=Bearer old\u{1}\u{1}", "\u{1}"]
        ),
        wrong
    );
}

#[test]
fn strangers_come_in_by_external_and_anonymous() {
    let config = Config::new().external("alice").anonymous();
    assert!(
        ask(&mut greeted(&config), "EHLO client.test\r\n").contains("AUTH EXTERNAL ANONYMOUS\r\n")
    );
    let run = |mechanism: &str, responses: &[&str]| {
        let mut machine = greeted(&config);
        let answer = talk(&mut machine, mechanism, responses).pop().unwrap();
        let user = machine
            .log()
            .session()
            .authenticated_as()
            .map(str::to_owned);
        (answer, user.unwrap_or_default(), rules(&machine.log()))
    };
    let good = |user: &str| ("235".to_owned(), user.to_owned(), vec![]);
    assert_eq!(run("EXTERNAL", &["="]), good("alice"));
    assert_eq!(run("EXTERNAL", &["", ""]), good("alice"));
    assert_eq!(run("EXTERNAL", &["alice"]), good("alice"));
    assert_eq!(run("EXTERNAL", &["bob"]).0, "535");
    assert_eq!(run("EXTERNAL", &["a\0b"]).2, [Rule::Sasl]);
    assert_eq!(run("ANONYMOUS", &["="]), good("anonymous"));
    assert_eq!(run("ANONYMOUS", &["sirhc"]), good("anonymous"));
    assert_eq!(run("ANONYMOUS", &[&"x".repeat(256)]).2, [Rule::Sasl]);
}

#[test]
fn the_digest_of_a_challenge_is_checked() {
    let config = Config::new()
        .user("tim", "tanstaaf")
        .mechanisms(["CRAM-MD5"]);
    let mut machine = greeted(&config);
    let challenge = talk(&mut machine, "CRAM-MD5", &[""]).remove(0);
    let challenge = challenge.strip_prefix("334 ").unwrap();
    assert!(challenge.starts_with('<') && challenge.ends_with("@mail.test>"));
    let mut mac = Hmac::<md5::Md5>::new_from_slice(b"tanstaaf").unwrap();
    mac.update(challenge.as_bytes());
    let digest: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(ask(&mut machine, encode(format!("tim {digest}")) + "\r\n").starts_with("235"));
    machine.log().assert_clean();
    assert_eq!(
        login(
            &config,
            "CRAM-MD5",
            &["", &format!("tim {}", "0".repeat(32))]
        )
        .0[1],
        "535"
    );
    assert_eq!(login(&config, "CRAM-MD5", &["", "tim 00"]).1, [Rule::Sasl]);
    assert_eq!(
        login(&config, "CRAM-MD5", &["tim"]).1,
        [Rule::Sasl],
        "no initial response"
    );
}

#[test]
fn a_mechanism_that_the_server_only_names_is_rejected() {
    let config = Config::new().mechanisms(["KERBEROS_V4"]);
    assert_eq!(
        login(&config, "KERBEROS_V4", &[""]),
        (vec!["504".to_owned()], vec![])
    );
}

#[test]
fn the_last_message_of_scram_wants_an_empty_answer() {
    let config = Config::new()
        .user("user", "pencil")
        .mechanisms(["SCRAM-SHA-256"])
        .scram(Scram::new().iterations(1));
    let mut machine = greeted(&config);
    let challenge = talk(&mut machine, "SCRAM-SHA-256", &["n,,n=user,r=x"]).remove(0);
    let (last, _) = scram("pencil", "n,,", b"", "n=user,r=x", &challenge[4..]);
    ask(&mut machine, encode(last) + "\r\n");
    assert!(ask(&mut machine, "AAAA\r\n").starts_with("501"));
    assert_eq!(rules(&machine.log()), [Rule::Sasl]);
}
