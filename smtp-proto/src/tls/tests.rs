use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use super::*;

fn text(reason: UnverifiedReason) -> String {
    let facts = TlsInfo::new().with_version("TLSv1.3");
    facts
        .with_verification(Verification::Unverified(reason))
        .to_string()
}

#[test]
fn a_peer_is_verified_unless_set_otherwise() {
    for facts in [TlsInfo::new(), TlsInfo::asserted()] {
        assert!(facts.is_peer_verified());
        assert_eq!(*facts.verification(), Verification::Verified);
        assert!(!facts.to_string().contains("verified"));
        assert!(!facts.clone().with_unverified_peer().is_peer_verified());
    }
    for reason in [
        UnverifiedReason::NotChecked,
        UnverifiedReason::Expired,
        UnverifiedReason::NotYetValid,
        UnverifiedReason::OtherName { names: vec![] },
        UnverifiedReason::UnknownIssuer,
        UnverifiedReason::SelfSigned,
        UnverifiedReason::BadSignature,
        UnverifiedReason::Other("odd".to_string()),
    ] {
        let facts = TlsInfo::new().with_verification(Verification::Unverified(reason));
        assert!(!facts.is_peer_verified());
        assert!(
            facts.to_string().contains(", peer not verified: "),
            "{facts}"
        );
        assert!(format!("{facts:?}").contains("Unverified"), "{facts:?}");
    }
}

#[test]
fn other_names_are_displayed_with_their_count_and_escaped() {
    let names = |count: usize| (0..count).map(|at| format!("h{at}.test")).collect();
    let other = |names| text(UnverifiedReason::OtherName { names });
    let end = |text: String| text.rsplit_once("is for ").unwrap().1.to_string();
    assert_eq!(end(other(names(0))), "no name of a host");
    assert_eq!(end(other(names(1))), "h0.test");
    assert_eq!(
        end(other(names(5))),
        "h0.test, h1.test, h2.test, h3.test, h4.test"
    );
    assert!(other(names(400)).ends_with("h4.test and 395 more"));
    let hostile = other(vec!["\u{1b}[2J".to_string(), "a".repeat(60_000)]);
    assert!(
        hostile.len() < 300 && !hostile.contains('\u{1b}'),
        "{hostile}"
    );
    let hostile = text(UnverifiedReason::Other("\u{1b}".repeat(60_000)));
    assert!(
        hostile.len() < 300 && !hostile.contains('\u{1b}'),
        "{hostile}"
    );
}
