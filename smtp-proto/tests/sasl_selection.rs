//! The mechanism that is used: the first of the caller's that the server advertises and the
//! connection allows, and no other.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::common::harness::Harness;
use smtp_proto::sasl::{Anonymous, ConnectionInfo, External, Login, Mechanism, Plain};
use smtp_proto::{AuthenticationError, Config, Credentials, ErrorKind, Security};

/// The names at the positions of the bits that are set.
fn subset<'a>(names: &[&'a str], bits: usize) -> Vec<&'a str> {
    let is_in = |place: &usize| bits >> place & 1 == 1;
    let places = (0..names.len()).filter(is_in);
    places.map(|place| names[place]).collect()
}

/// The expected choice, found in another way than by the crate: names that are not advertised are
/// removed from the caller's list.
fn reference<'a>(wanted: &[&'a str], offered: &[&str], bound: bool) -> Option<&'a str> {
    let offered: BTreeSet<&str> = offered.iter().copied().collect();
    let mut left = wanted.to_vec();
    left.retain(|name| offered.contains(name));
    left.retain(|name| bound || !name.ends_with("-PLUS"));
    left.into_iter().next()
}

#[test]
fn v32_all_subsets_of_advertised_and_allowed_mechanisms_agree_with_the_reference() {
    let password = Credentials::password("alice", "secret").unwrap();
    let names: Vec<_> = password.names().collect();
    let end_point = [("tls-server-end-point", &b"hash"[..])];
    let unknown = [("tls-unique", &b"finished"[..])];
    let mut chosen = BTreeSet::new();
    for allowed in 0..1 << names.len() {
        let in_order = subset(&names, allowed);
        let reversed: Vec<_> = in_order.iter().rev().copied().collect();
        for wanted in [in_order, reversed] {
            let credentials = password.restrict_to(wanted.iter().copied());
            assert!(credentials.names().eq(wanted.iter().copied()));
            for offers in 0..1 << names.len() {
                let offered = subset(&names, offers);
                for (bindings, bound) in [(&end_point, true), (&unknown, false)] {
                    let context = ConnectionInfo::new([7; 32])
                        .over_tls(bindings)
                        .advertising(&offered);
                    let selected = credentials
                        .select(&context)
                        .map(|mechanism| mechanism.name().as_str());
                    let expected = reference(&wanted, &offered, bound);
                    assert_eq!(selected, expected, "of {wanted:?}, offered {offered:?}");
                    chosen.extend(selected);
                }
            }
        }
    }
    assert_eq!(chosen, names.into_iter().collect());
}

#[cfg(feature = "scram")]
#[test]
fn v32_a_password_uses_the_strongest_common_mechanism() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    let order = [
        "SCRAM-SHA-512-PLUS",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-512",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
        "PLAIN",
        "LOGIN",
    ];
    assert!(credentials.names().eq(order));
}

#[test]
fn other_advertised_mechanisms_and_letter_case_change_nothing() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    for (offered, expected) in [
        (&["login", "plain"][..], Some("PLAIN")),
        (&["LOGIN", "X-PLAIN", "PLAINX"], Some("LOGIN")),
        (&["CRAM-MD5", "GSSAPI", "EXTERNAL", "ANONYMOUS"], None),
        (&[], None),
    ] {
        let context = ConnectionInfo::new([7; 32]).advertising(offered);
        let selected = credentials.select(&context);
        assert_eq!(selected.map(|each| each.name().as_str()), expected);
    }
}

#[test]
fn an_allow_list_orders_mechanisms_and_never_adds_one() {
    let list: [Arc<dyn Mechanism>; 4] = [
        Arc::new(Plain::new("alice", "secret").unwrap()),
        Arc::new(Login::new("alice", "secret").unwrap()),
        Arc::new(External::new()),
        Arc::new(Anonymous::new()),
    ];
    let credentials = Credentials::from_mechanisms(list.to_vec());
    for (names, expected) in [
        (&["anonymous", "PLAIN"][..], &["ANONYMOUS", "PLAIN"][..]),
        (&["SCRAM-SHA-256", "LOGIN", "PLAI"], &["LOGIN"]),
        (&[], &[]),
        (&[""], &[]),
    ] {
        let only = credentials.restrict_to(names.iter().copied());
        assert!(only.names().eq(expected.iter().copied()), "{names:?}");
    }
}

/// A connection with these credentials after a reply to EHLO inside TLS with these mechanisms, and
/// its output.
fn offered(credentials: &Credentials, mechanisms: &[&str]) -> (Harness, String) {
    let config = Config::builder("client.test".parse().unwrap())
        .security(Security::Implicit)
        .credentials(credentials.clone());
    let mut harness = Harness::new(config.build().unwrap());
    let said = harness.secure(&format!("AUTH {}", mechanisms.join(" ")));
    (harness, said)
}

#[test]
fn v32_a_failure_never_leads_to_another_mechanism() {
    let credentials = Credentials::password("alice", "secret").unwrap();
    let names: Vec<_> = credentials.names().collect();
    for offers in 1..1 << names.len() {
        let offer = subset(&names, offers);
        for rejection in ["535 no", "504 not this one", "534 too weak", "454 later"] {
            let (mut harness, said) = offered(&credentials, &offer);
            // The harness reports no channel binding.
            match reference(&names, &offer, false) {
                Some(name) => {
                    let mut words = said.trim_end().split(' ');
                    assert_eq!((words.next(), words.next()), (Some("AUTH"), Some(name)));
                    assert_eq!(harness.ask(format!("{rejection}\r\n")), "QUIT\r\n");
                    harness.failure();
                }
                None => {
                    assert_eq!(said, "QUIT\r\n");
                    let error = harness.failure();
                    let ErrorKind::Authentication(AuthenticationError::NoCommonMechanism {
                        offered,
                        ours,
                    }) = error.kind()
                    else {
                        panic!("{error:#}");
                    };
                    assert_eq!(*offered, offer);
                    let usable = names.iter().filter(|name| !name.ends_with("-PLUS"));
                    assert!(ours.iter().eq(usable));
                }
            }
            assert_eq!(harness.listen(), "");
        }
    }
}
