use core::num::NonZeroU32;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;

use super::*;

/// The capabilities in a reply to EHLO with these lines after the first.
fn offered(lines: &[&str]) -> Capabilities {
    let mut raw = String::from("250-mx.example.com at your service\r\n");
    for line in lines {
        raw.push_str(&format!("250-{line}\r\n"));
    }
    raw.push_str("250 X-END\r\n");
    of(raw.as_bytes())
}

/// Parses both ways, which must agree.
fn of(raw: &[u8]) -> Capabilities {
    let (reply, length) = Reply::parse(raw).unwrap().unwrap();
    assert_eq!(length, raw.len());
    let owned = Capabilities::parse(&reply);
    let borrowed = Capabilities::from_ehlo(reply.as_ref());
    assert_eq!(format!("{owned:?}"), format!("{borrowed:?}"));
    assert_eq!((owned.known, owned.size), (borrowed.known, borrowed.size));
    assert_eq!(owned.mechanisms, borrowed.mechanisms);
    owned
}

/// The size, the mechanisms and the number of keywords kept.
fn summary(lines: &[&str]) -> (Option<SizeLimit>, String, usize) {
    let capabilities = offered(lines);
    let mechanisms: Vec<&str> = capabilities.auth().collect();
    (
        capabilities.size(),
        mechanisms.join(" "),
        capabilities.iter().count() - 1,
    )
}

#[test]
fn v31_odd_replies_to_ehlo_have_one_defined_reading() {
    use SizeLimit::{Bytes, Unknown, Unlimited};
    type Row<'a> = (&'a [&'a str], (Option<SizeLimit>, &'a str, usize));
    let rows: [Row<'_>; 30] = [
        (&[], (None, "", 0)),
        (&["SIZE"], (Some(Unknown), "", 1)),
        (&["SIZE 0"], (Some(Unlimited), "", 1)),
        (&["SIZE 000"], (Some(Unlimited), "", 1)),
        (&["SIZE 35882577"], (Some(Bytes(35_882_577)), "", 1)),
        (
            &["SIZE 18446744073709551615"],
            (Some(Bytes(u64::MAX)), "", 1),
        ),
        (&["SIZE 99999999999999999999"], (Some(Unknown), "", 1)),
        (&["SIZE abc"], (None, "", 0)),
        (&["SIZE -1"], (None, "", 0)),
        (&["SIZE 10M"], (None, "", 0)),
        (&["SIZE 1", "SIZE 2"], (Some(Bytes(1)), "", 2)),
        (&["SIZE", "SIZE 2"], (Some(Unknown), "", 2)),
        (&["SIZE abc", "SIZE 2"], (Some(Bytes(2)), "", 1)),
        (&["size 7"], (Some(Bytes(7)), "", 1)),
        (&[" \tSIZE\t 7 \t"], (Some(Bytes(7)), "", 1)),
        (&["SIZEABLE 7"], (None, "", 1)),
        (&["SIZE=7"], (None, "", 0)),
        (&["XSIZE 7"], (None, "", 1)),
        (&["AUTH PLAIN LOGIN"], (None, "PLAIN LOGIN", 1)),
        (&["AUTH=PLAIN LOGIN"], (None, "PLAIN LOGIN", 1)),
        (
            &["AUTH PLAIN LOGIN", "AUTH=LOGIN XOAUTH2"],
            (None, "PLAIN LOGIN XOAUTH2", 2),
        ),
        (
            &["auth plain", "Auth Login Plain"],
            (None, "PLAIN LOGIN", 2),
        ),
        (&["AUTH"], (None, "", 1)),
        (&["AUTH  PLAIN \t LOGIN  "], (None, "PLAIN LOGIN", 1)),
        (
            &["AUTH PLAIN,LOGIN \u{e9} GSSAPI ABCDEFGHIJKLMNOPQRSTU"],
            (None, "GSSAPI", 1),
        ),
        (&["AUTHX PLAIN"], (None, "", 1)),
        (&["AUTH PLA PLAIN PLAINER"], (None, "PLA PLAIN PLAINER", 1)),
        (&["", " ", "\t"], (None, "", 0)),
        (&["X-UNKNOWN a b", "XYZZY"], (None, "", 2)),
        (&["-SIZE 7", "_X", "\u{e9}", "5.1.1 SIZE 7"], (None, "", 0)),
    ];
    for (lines, (size, mechanisms, kept)) in rows {
        assert_eq!(
            summary(lines),
            (size, mechanisms.to_string(), kept),
            "{lines:?}"
        );
    }
}

#[test]
fn v31_only_a_250_advertises_anything() {
    for code in [220, 221, 251, 354, 421, 500, 550] {
        let capabilities =
            of(format!("{code}-mx\r\n{code}-PIPELINING\r\n{code} AUTH PLAIN\r\n").as_bytes());
        assert!(
            !capabilities.pipelining() && !capabilities.has("AUTH"),
            "{code}"
        );
        assert_eq!(capabilities.auth().count() + capabilities.iter().count(), 0);
    }
}

#[test]
fn the_first_line_is_a_greeting_even_if_it_looks_like_a_keyword() {
    for raw in [
        &b"250-PIPELINING\r\n250 DSN\r\n"[..],
        b"250-PIPELINING\n250 DSN\n",
    ] {
        let capabilities = of(raw);
        assert!(!capabilities.pipelining());
        assert!(capabilities.dsn());
        assert_eq!(capabilities.server_name(), b"PIPELINING");
    }
    assert_eq!(of(b"250 PIPELINING\r\n").iter().count(), 0);
    assert_eq!(
        of(b"250-mx.example.com Hello\r\n250 DSN\r\n").server_name(),
        b"mx.example.com"
    );
    assert_eq!(of(b"250\r\n").server_name(), b"");
    assert_eq!(Capabilities::default().server_name(), b"");
}

type Getter = fn(&Capabilities) -> bool;

#[test]
fn each_flag_is_its_keyword_as_a_whole_word_in_any_case() {
    let flags: [(&str, Getter); 20] = [
        ("PIPELINING", Capabilities::pipelining),
        ("8BITMIME", Capabilities::eight_bit_mime),
        ("SMTPUTF8", Capabilities::smtp_utf8),
        ("STARTTLS", Capabilities::start_tls),
        ("CHUNKING", Capabilities::chunking),
        ("DSN", Capabilities::dsn),
        ("ENHANCEDSTATUSCODES", Capabilities::enhanced_status_codes),
        ("REQUIRETLS", Capabilities::require_tls),
        ("RRVS", Capabilities::rrvs),
        ("VRFY", Capabilities::vrfy),
        ("EXPN", Capabilities::expn),
        ("HELP", Capabilities::help),
        ("ETRN", Capabilities::etrn),
        ("ATRN", |capabilities| capabilities.has("ATRN")),
        ("MTRK", |capabilities| capabilities.has("MTRK")),
        ("CONPERM", |capabilities| capabilities.has("CONPERM")),
        ("CONNEG", |capabilities| capabilities.has("CONNEG")),
        ("CHECKPOINT", |capabilities| capabilities.has("CHECKPOINT")),
        ("SUBMITTER", |capabilities| capabilities.has("SUBMITTER")),
        ("SIZE", |capabilities| capabilities.size().is_some()),
    ];
    for (keyword, flag) in flags {
        let spelt = [
            keyword.to_string(),
            keyword.to_ascii_lowercase(),
            format!("\t{keyword} 1 2"),
        ];
        for line in spelt {
            let capabilities = offered(&[&line]);
            assert!(flag(&capabilities) && capabilities.has(keyword), "{line}");
            assert!(capabilities.has(&keyword.to_ascii_lowercase()), "{line}");
            let without = capabilities.without(&keyword.to_ascii_lowercase());
            assert!(!flag(&without) && !without.has(keyword), "{line}");
            assert_eq!(without.keyword(keyword), None, "{line}");
        }
        let others = [
            format!("{keyword}X"),
            format!("X{keyword}"),
            format!("{keyword}-"),
            keyword[1..].into(),
        ];
        for line in others {
            let capabilities = offered(&[&line]);
            assert!(!flag(&capabilities) && !capabilities.has(keyword), "{line}");
        }
        assert!(!flag(&Capabilities::default()));
    }
}

#[test]
fn every_known_keyword_is_found_and_nothing_that_only_looks_like_it() {
    for known in Known::ALL.iter().copied() {
        let keyword = known.as_str();
        assert_eq!(Known::find(keyword.as_bytes()), Some(known));
        assert_eq!(
            Known::find(keyword.to_ascii_lowercase().as_bytes()),
            Some(known)
        );
        assert_eq!(Known::named(keyword), Some(known));
        for at in 0..keyword.len() {
            for byte in (b'0'..=b'9')
                .chain(b'A'..=b'Z')
                .chain(b'a'..=b'z')
                .chain([b'-'])
            {
                let mut other = keyword.as_bytes().to_vec();
                other[at] = byte;
                let expected = Known::ALL
                    .iter()
                    .find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(&other));
                assert_eq!(
                    Known::find(&other),
                    expected.copied(),
                    "{}",
                    other.escape_ascii()
                );
            }
            let mut shorter = keyword.as_bytes().to_vec();
            shorter.remove(at);
            assert_eq!(Known::find(&shorter), None, "{}", shorter.escape_ascii());
        }
    }
    assert_eq!(Known::find(b""), None);
    assert!(!offered(&["8BITMIME"]).has("\u{18}BITMIME"));
}

#[test]
fn smtputf8_implies_8bitmime_and_is_removed_with_it() {
    let capabilities = offered(&["SMTPUTF8"]);
    assert!(
        capabilities.eight_bit_mime() && capabilities.smtp_utf8() && capabilities.has("8BITMIME")
    );
    let without = capabilities.clone().without("8bitmime");
    assert!(!without.eight_bit_mime() && !without.smtp_utf8());
    assert!(!capabilities.without("SMTPUTF8").smtp_utf8());
}

#[test]
fn binarymime_needs_chunking() {
    assert!(!offered(&["BINARYMIME"]).binary_mime());
    let both = offered(&["BINARYMIME", "CHUNKING"]);
    assert!(both.binary_mime());
    assert!(!both.clone().without("CHUNKING").binary_mime());
    assert!(!both.without("BINARYMIME").binary_mime());
}

#[test]
fn parameters_are_typed_and_bad_ones_ignored() {
    let none = offered(&[
        "DELIVERBY x",
        "FUTURERELEASE",
        "FUTURERELEASE 1",
        "FUTURERELEASE x y",
        "LIMITS",
    ]);
    assert_eq!(none.deliver_by(), None);
    assert_eq!(none.future_release(), None);
    assert_eq!(none.limits(), ServerLimits::default());
    assert!(!none.has("DELIVERBY") && !none.has("FUTURERELEASE") && none.has("LIMITS"));

    assert_eq!(offered(&["DELIVERBY"]).deliver_by(), Some(0));
    assert_eq!(
        offered(&["DELIVERBY x", "deliverby 240"]).deliver_by(),
        Some(240)
    );
    assert_eq!(offered(&["MT-PRIORITY"]).mt_priority(), Some("MIXER"));
    assert_eq!(
        offered(&["MT-PRIORITY STANAG4406"]).mt_priority(),
        Some("STANAG4406")
    );
    assert_eq!(offered(&[]).mt_priority(), None);

    let capabilities = offered(&["FUTURERELEASE 604800 2030-01-01T00:00:00Z"]);
    let future = capabilities.future_release().unwrap();
    assert_eq!(
        (future.max_interval(), future.max_date_time()),
        (604_800, "2030-01-01T00:00:00Z")
    );
}

#[test]
fn limits_are_read_each_by_itself() {
    let number = NonZeroU32::new;
    let rows: [(&str, [Option<NonZeroU32>; 3]); 8] = [
        (
            "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1",
            [number(5), number(20), number(1)],
        ),
        ("LIMITS rcptmax=20", [None, number(20), None]),
        ("LIMITS RCPTMAX=20 RCPTMAX=30", [None, number(20), None]),
        ("LIMITS RCPTMAX=x RCPTMAX=30", [None, number(30), None]),
        ("LIMITS RCPTMAX=0 MAILMAX", [None, None, None]),
        (
            "LIMITS RCPTMAX=4294967296 MAILMAX=99999999999999999999",
            [None, None, None],
        ),
        ("LIMITS RCPTMAX=20;MAILMAX=5", [None, None, None]),
        ("LIMITS XMAX=1 MAILMAX=5", [number(5), None, None]),
    ];
    for (line, expected) in rows {
        let limits = offered(&[line]).limits();
        assert_eq!(
            [
                limits.mail_max(),
                limits.rcpt_max(),
                limits.rcpt_domain_max()
            ],
            expected,
            "{line}"
        );
    }
}

#[test]
fn lists_are_split_into_words() {
    let capabilities = offered(&[
        "XCLIENT NAME ADDR",
        "XFORWARD  NAME\tADDR PROTO",
        "BURL imap",
        "NO-SOLICITING a:b",
    ]);
    assert!(capabilities.xclient().unwrap().eq([&b"NAME"[..], b"ADDR"]));
    assert!(
        capabilities
            .xforward()
            .unwrap()
            .eq([&b"NAME"[..], b"ADDR", b"PROTO"])
    );
    assert!(capabilities.burl().unwrap().eq([&b"imap"[..]]));
    assert_eq!(capabilities.no_soliciting(), Some(&b"a:b"[..]));
    assert!(offered(&[]).xclient().is_none() && offered(&[]).burl().is_none());
}

#[test]
fn unknown_keywords_keep_their_spelling() {
    let capabilities = offered(&["x-Vendor a=1  b", "PIPELINING"]);
    let kept: Vec<(&str, &[u8])> = capabilities.iter().collect();
    assert_eq!(
        kept,
        [
            ("x-Vendor", &b"a=1  b"[..]),
            ("PIPELINING", b""),
            ("X-END", b"")
        ]
    );
    assert!(capabilities.has("X-VENDOR"));
    assert_eq!(capabilities.keyword("X-vendor"), Some(&b"a=1  b"[..]));
    assert_eq!(capabilities.keyword("X"), None);
    let without = capabilities.without("X-VENDOR");
    assert!(!without.has("x-vendor") && without.pipelining());
    assert_eq!(without.server_name(), b"mx.example.com");
}

#[test]
fn without_auth_removes_all_mechanisms() {
    let capabilities = offered(&["AUTH PLAIN", "AUTH=LOGIN", "DSN"]).without("auth");
    assert_eq!(capabilities.auth().count(), 0);
    assert!(!capabilities.has("AUTH") && capabilities.dsn());
    assert_eq!(offered(&["SIZE 5"]).without("size").size(), None);
}

#[test]
fn keywords_after_the_128th_never_appear() {
    let mut lines: Vec<String> = (0..127).map(|n| format!("X-{n}")).collect();
    lines.extend(["X-LAST".into(), "STARTTLS".into(), "AUTH PLAIN".into()]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let capabilities = offered(&lines);
    assert_eq!(capabilities.iter().count(), 128);
    assert!(
        capabilities.has("X-LAST") && !capabilities.start_tls() && !capabilities.has("STARTTLS")
    );
    let without = capabilities.without("X-0");
    assert_eq!(without.iter().count(), 127);
    assert!(!without.has("STARTTLS") && without.auth().count() == 0);
}

#[test]
fn mechanisms_are_kept_in_bounded_memory() {
    let many: Vec<String> = (0..60).map(|n| format!("MECHANISM-{n:02}")).collect();
    let capabilities = offered(&[&format!("AUTH {}", many.join(" ")), "AUTH X"]);
    let kept: Vec<&str> = capabilities.auth().collect();
    assert_eq!(kept[..39], many[..39]);
    assert_eq!(kept[39..], ["X"]);
    assert!(capabilities.mechanisms.0.len() <= MECHANISMS);

    // 39 of 13 bytes with their spaces leave room for one of 4 and its space, and for no other.
    let exact = offered(&[&format!("AUTH {} ABCDE ABCD X", many[..39].join(" "))]);
    assert_eq!(exact.auth().last(), Some("ABCD"));
    assert_eq!(exact.mechanisms.0.len(), MECHANISMS);
}

#[test]
fn debug_output_is_escaped() {
    let shown = format!("{:?}", offered(&["X-A \u{1b}[2J\u{202e}"]));
    assert_eq!(shown, "{X-A: \\x1b[2J\\xe2\\x80\\xae, X-END: }");
}

proptest! {
    #[test]
    fn i1_any_lines_are_read_without_a_panic_and_without_never_adds(
        lines in prop::collection::vec(any_line(), 1..24),
        off in prop::sample::select(vec!["SIZE", "auth", "8BITMIME", "x-a", "STARTTLS", "", "\u{e9}"]),
    ) {
        let mut raw = Vec::new();
        for line in &lines {
            raw.extend_from_slice(b"250-");
            raw.extend(line.iter().filter(|byte| !matches!(byte, 0 | b'\n')));
            raw.extend_from_slice(b"\r\n");
        }
        raw.extend_from_slice(b"250 X-A\r\n");
        let all = of(&raw);
        let fewer = all.clone().without(off);
        let listed: Vec<(&str, &[u8])> =
            all.iter().filter(|(keyword, _)| !keyword.eq_ignore_ascii_case(off)).collect();
        prop_assert_eq!(fewer.iter().collect::<Vec<_>>(), listed);
        for (keyword, _) in all.iter() {
            prop_assert!(all.has(keyword));
            prop_assert_eq!(fewer.has(keyword), !keyword.eq_ignore_ascii_case(off));
        }
        prop_assert!(fewer.size().is_none() || fewer.size() == all.size());
        prop_assert!(fewer.auth().all(|mechanism| all.auth().any(|other| other == mechanism)));
    }
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "SIZE",
        "AUTH",
        "AUTH=",
        "8BITMIME",
        "SMTPUTF8",
        "STARTTLS",
        "DELIVERBY",
        "LIMITS",
        "X-A",
        "PLAIN",
        "LOGIN",
        "0",
        "7",
        "RCPTMAX=3",
        " ",
        "\t",
    ]);
    prop_oneof![
        prop::collection::vec(word, 0..5).prop_map(|words| words.join(" ").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}
