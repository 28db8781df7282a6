use alloc::{
    format,
    string::{String, ToString},
};

use proptest::prelude::*;

use super::{AddressErrorKind, to_ascii};
use crate::address::{AddressError, ClientName, Domain, ForwardPath, Mailbox, ReversePath};

fn fault<T>(result: Result<T, AddressError>) -> Option<(usize, AddressErrorKind)> {
    result.err().map(|error| (error.offset(), error.kind()))
}

#[test]
fn a_non_ascii_domain_gets_its_a_labels() {
    for (domain, ascii) in [
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("B\u{dc}CHER.Example", "xn--bcher-kva.example"),
        ("mail.b\u{fc}cher.example", "mail.xn--bcher-kva.example"),
        ("xn--bcher-kva.b\u{fc}cher", "xn--bcher-kva.xn--bcher-kva"),
        // Nontransitional processing: these letters are not mapped.
        ("fa\u{df}.de", "xn--fa-hia.de"),
        (
            "\u{3b2}\u{3cc}\u{3bb}\u{3bf}\u{3c2}.com",
            "xn--nxasmm1c.com",
        ),
        (
            "\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}",
            "xn--r8jz45g.xn--zckzah",
        ),
        // A joiner where a script needs it.
        (
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}.com",
            "xn--10cl1a0b660p.com",
        ),
        // Right-to-left.
        (
            "\u{645}\u{62b}\u{627}\u{644}.example",
            "xn--mgbh0fb.example",
        ),
    ] {
        assert_eq!(to_ascii(domain).unwrap(), ascii, "{domain}");
        assert_eq!(to_ascii(ascii).unwrap(), ascii);
        let parsed: Domain = domain.parse().unwrap();
        assert_eq!(parsed.to_ascii().unwrap().as_str(), ascii);
        let name: ClientName = domain.parse().unwrap();
        assert_eq!(name.as_str(), ascii);
    }
}

#[test]
fn a_domain_in_ascii_is_left_alone() {
    for domain in [
        "Mail.Example",
        "xn--zzzzzzzzzz.example",
        "a--b.example",
        "[192.0.2.1]",
    ] {
        assert_eq!(to_ascii(domain).unwrap(), domain);
    }
}

#[test]
fn v19_an_invalid_u_label_is_rejected_with_its_offset() {
    for (domain, at) in [
        // Mapped: a ligature, a circled digit, letters of another shape, a decomposed umlaut.
        ("b\u{fc}cher.\u{fb01}n.example", 8),
        ("\u{2460}.example", 0),
        ("\u{1d41a}.example", 0),
        ("bu\u{308}cher.example", 0),
        // A joiner without letters to join.
        ("b\u{fc}\u{200d}cher.example", 0),
        // An invalid encoding, and an encoding of ASCII only.
        ("xn--b\u{fc}cher.example", 0),
        ("b\u{fc}cher.xn--a-.example", 8),
        ("b\u{fc}cher.xn--.example", 8),
        // Mixed directions in a label.
        ("b\u{fc}cher.a\u{5d0}", 8),
        // Reserved hyphens.
        ("b\u{fc}--cher.example", 0),
        ("b\u{fc}cher.ab--c", 8),
        // A combining mark at the start.
        ("a.\u{301}\u{fc}.example", 2),
        // An unassigned character.
        ("\u{378}.example", 0),
    ] {
        assert_eq!(
            fault(to_ascii(domain)),
            Some((at, AddressErrorKind::NotULabel)),
            "{domain:?}"
        );
    }
    // Rejected by the grammar: ignored characters, spaces, dots of other scripts, full-width
    // letters.
    for c in [
        '\u{ad}', '\u{200b}', '\u{3002}', '\u{ff0e}', '\u{ff41}', '\u{2028}',
    ] {
        let domain = format!("b\u{fc}{c}cher.example");
        assert!(domain.parse::<Domain>().is_err());
        assert!(domain.parse::<ClientName>().is_err());
    }
}

#[test]
fn a_label_that_is_invalid_only_next_to_another_is_rejected() {
    // A label may not begin with a digit in a domain with right-to-left letters.
    let (at, reason) = fault(to_ascii("1a.\u{5d0}")).unwrap();
    assert_eq!((at, reason), (3, AddressErrorKind::NotULabel));
}

#[test]
fn lengths_are_those_of_the_a_labels() {
    let domain = |letters| format!("a.{}.example", "\u{fc}".repeat(letters));
    let parsed: Domain = domain(56).parse().unwrap();
    assert!(parsed.to_ascii().unwrap().as_str().len() > "a..example".len() + 59);
    let parsed: Domain = domain(59).parse().unwrap();
    assert_eq!(
        fault(parsed.to_ascii()),
        Some((2, AddressErrorKind::NotULabel))
    );
    // Short enough as given, and too long for a path as A-labels.
    let domain = [const { "\u{fc}\u{4f8b}\u{3b2}\u{5c8f}abcdefgh" }; 7].join(".");
    let mailbox: Mailbox = format!("{}@{domain}", "l".repeat(64)).parse().unwrap();
    assert_eq!(
        fault(mailbox.to_ascii()),
        Some((65, AddressErrorKind::LongMailbox))
    );
}

#[test]
fn a_mailbox_changes_its_domain_and_never_its_local_part() {
    for (mailbox, ascii) in [
        ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
        (
            "\"A b\"@b\u{fc}cher.example",
            "\"A b\"@xn--bcher-kva.example",
        ),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("A@Example", "A@Example"),
    ] {
        let mailbox: Mailbox = mailbox.parse().unwrap();
        let changed = mailbox.to_ascii().unwrap();
        assert_eq!(changed.as_str(), ascii);
        assert_eq!(changed, ascii.parse().unwrap());
        assert_eq!(
            ReversePath::from(&mailbox).to_ascii().unwrap().as_str(),
            ascii
        );
        assert_eq!(
            ForwardPath::from(&mailbox).to_ascii().unwrap().as_str(),
            ascii
        );
    }
    let mailbox: Mailbox = "a\u{e9}@b\u{fc}cher.example".parse().unwrap();
    let rejected = Some((1, AddressErrorKind::NonAsciiLocalPart));
    assert_eq!(fault(mailbox.to_ascii()), rejected);
    assert_eq!(
        fault(ForwardPath::local("a\u{e9}").unwrap().to_ascii()),
        rejected
    );
    let mailbox: Mailbox = "a@x.b\u{fc}\u{200d}cher.example".parse().unwrap();
    assert_eq!(
        fault(mailbox.to_ascii()),
        Some((4, AddressErrorKind::NotULabel))
    );
    assert!(ReversePath::null().to_ascii().unwrap().is_null());
    assert_eq!(
        ForwardPath::postmaster().to_ascii().unwrap().as_str(),
        "Postmaster"
    );
}

/// Letters of several scripts, some of which may not be combined.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,8}",
        "[a-z\u{e0}-\u{fe}]{1,12}",
        "[\u{391}-\u{3c9}]{1,8}",
        "[\u{4e00}-\u{4e50}]{1,8}",
        "[\u{5d0}-\u{5ea}0-9]{1,8}",
        "[\u{200c}\u{200d}\u{93f}\u{915}\u{94d}]{1,6}",
        any::<char>().prop_map(|c| c.to_string()),
    ]
}

proptest! {
    #[test]
    fn a_converted_domain_is_valid_and_not_converted_again(
        labels in proptest::collection::vec(label(), 1..4)
    ) {
        let domain = labels.join(".");
        if let (Ok(parsed), Ok(ascii)) = (domain.parse::<Domain>(), to_ascii(&domain)) {
            prop_assert!(ascii.is_ascii());
            let again: Domain = ascii.parse().unwrap();
            prop_assert_eq!(again.to_ascii().unwrap(), again);
            prop_assert_eq!(parsed.is_ascii(), ascii == domain);
        }
    }
}
