use alloc::{format, string::ToString, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::sasl::Driver;

const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SERVER_FIRST: &str = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";

fn context() -> ConnectionInfo<'static> {
    ConnectionInfo::new([7; 32])
}

/// An exchange with a given nonce.
fn begin(scram: &Scram, nonce: &str, context: &ConnectionInfo<'_>) -> (State, String) {
    let mut state = State::Start(scram.open(nonce.into(), context));
    let first = state.initial_response().unwrap().unwrap();
    (state, text(&first))
}

fn text(message: &Secret) -> String {
    String::from_utf8(message.expose().to_vec()).unwrap()
}

/// The exchange of RFC 5802, section 5, up to the server's first message.
fn example() -> State {
    begin(&Scram::sha1("user", "pencil").unwrap(), NONCE, &context()).0
}

#[test]
fn v34_the_exchanges_of_the_rfcs_match_byte_by_byte() {
    // RFC 5802, section 5, and RFC 7677, section 3.
    let rows = [
        (
            Scram::sha1("user", "pencil").unwrap(),
            NONCE,
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            SERVER_FIRST,
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            Scram::sha256("user", "pencil").unwrap(),
            "rOprNGfwEbeRWgbNEkqO",
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ];
    for (scram, nonce, client_first, server_first, client_final, server_final) in rows {
        let (mut state, first) = begin(&scram, nonce, &context());
        assert_eq!(first, client_first);
        assert_eq!(state.finish(), Err(ExchangeError::Premature));
        let last = state.respond(server_first.as_bytes()).unwrap();
        assert_eq!(text(&last), client_final);
        assert_eq!(state.finish(), Err(NO_SERVER_SIGNATURE));
        let answer = state.respond(server_final.as_bytes()).unwrap();
        assert!(answer.expose().is_empty());
        assert_eq!((state.finish(), state.server_error()), (Ok(()), None));
        assert_eq!(
            state.respond(b"").unwrap_err(),
            ExchangeError::TooManyChallenges
        );
        assert!(state.finish().is_err());
    }
}

#[test]
fn v34_an_invalid_first_message_of_the_server_is_rejected() {
    let long = |len| format!("r={NONCE}{},s=QSXCR+Q6sek8bf92,i=4096", "x".repeat(len));
    let salt = |len| {
        let salt = STANDARD.encode(vec![b's'; len]);
        format!("r={NONCE}x,s={salt},i=4096")
    };
    let count = |count: &str| format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i={count}");
    for good in [
        SERVER_FIRST.to_string(),
        count("4096"),
        count("4097"),
        count("4096,x=y,z=\u{e4}"),
        long(1),
        long(256 - NONCE.len()),
        salt(8),
        salt(1024),
    ] {
        assert!(example().respond(good.as_bytes()).is_ok(), "{good}");
    }
    let bad = [
        // Iterations.
        count("0"),
        count("1"),
        count("4095"),
        count("600001"),
        count("4294967296"),
        count("18446744073709551616"),
        count("99999999999999999999999999999999"),
        count("-1"),
        count("+4096"),
        count("4096x"),
        count(" 4096"),
        count("04096"),
        count("0x1000"),
        count("4096.0"),
        count("\u{664}\u{660}\u{669}\u{666}"),
        count(""),
        // Nonces: nothing added, another's, too long, with an invalid character.
        format!("r={NONCE},s=QSXCR+Q6sek8bf92,i=4096"),
        format!("r={},s=QSXCR+Q6sek8bf92,i=4096", &NONCE[..12]),
        format!("r=x{NONCE},s=QSXCR+Q6sek8bf92,i=4096"),
        format!("r={}x,s=QSXCR+Q6sek8bf92,i=4096", NONCE.to_lowercase()),
        "r=,s=QSXCR+Q6sek8bf92,i=4096".into(),
        long(257 - NONCE.len()),
        format!("r={NONCE} ,s=QSXCR+Q6sek8bf92,i=4096"),
        format!("r={NONCE}\u{e4},s=QSXCR+Q6sek8bf92,i=4096"),
        format!("r={NONCE}\u{7f},s=QSXCR+Q6sek8bf92,i=4096"),
        // Salts.
        salt(0),
        salt(7),
        salt(1025),
        format!("r={NONCE}x,s=QSXCR+Q6sek8bf9,i=4096"),
        format!("r={NONCE}x,s=QSXCR Q6sek8bf92,i=4096"),
        // Mandatory extensions.
        format!("m=x,{SERVER_FIRST}"),
        format!("m={SERVER_FIRST}"),
        // Other orders; missing or repeated parts.
        format!("s=QSXCR+Q6sek8bf92,r={NONCE}x,i=4096"),
        format!("r={NONCE}x,i=4096,s=QSXCR+Q6sek8bf92"),
        format!("r={NONCE}x,s=QSXCR+Q6sek8bf92"),
        format!("r={NONCE}x,r={NONCE}x,s=QSXCR+Q6sek8bf92,i=4096"),
        format!("r={NONCE}x"),
        format!("{SERVER_FIRST}\r\n"),
        "e=unknown-user".into(),
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=".into(),
        String::new(),
        ",".into(),
        ",,,".into(),
    ];
    for message in bad {
        let mut state = example();
        let failure = state.respond(message.as_bytes()).unwrap_err();
        assert!(matches!(failure, ExchangeError::Mechanism(_)), "{message}");
        assert!(state.finish().is_err(), "{message}");
        assert!(state.respond(SERVER_FIRST.as_bytes()).is_err(), "{message}");
    }
}

#[test]
fn v34_the_caller_bounds_the_number_of_iterations() {
    let demand = |scram: &Scram, count: u32| {
        let (mut state, _) = begin(scram, NONCE, &context());
        let first = format!("r={NONCE}x,s=QSXCR+Q6sek8bf92,i={count}");
        state.respond(first.as_bytes()).map(drop)
    };
    let scram = Scram::sha1("user", "pencil").unwrap().iterations(2..=5);
    assert_eq!(demand(&scram, 1), demand(&scram, 0));
    assert_ne!(demand(&scram, 1), demand(&scram, 6));
    assert!(demand(&scram, 1).is_err() && demand(&scram, 6).is_err());
    assert!((2..=5).all(|count| demand(&scram, count).is_ok()));
    // 0 is not a valid number of iterations, whatever the caller allows.
    assert!(demand(&scram.iterations(0..=1), 0).is_err());
}

#[test]
fn v34_success_requires_the_servers_proof() {
    let good = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    let at_the_end = || {
        let mut state = example();
        state.respond(SERVER_FIRST.as_bytes()).unwrap();
        state
    };
    // 235 without a signature.
    assert_eq!(at_the_end().finish(), Err(NO_SERVER_SIGNATURE));
    assert!(at_the_end().respond(good.as_bytes()).is_ok());
    assert!(
        at_the_end()
            .respond(format!("{good},x=y").as_bytes())
            .is_ok()
    );
    let signature = STANDARD.decode(&good[2..]).unwrap();
    let mut wrong: Vec<String> = (0..signature.len())
        .map(|index| {
            let mut signature = signature.clone();
            signature[index] ^= 0x80;
            format!("v={}", STANDARD.encode(signature))
        })
        .collect();
    wrong.extend([
        format!("v={}", STANDARD.encode(&signature[..19])),
        format!("v={}", STANDARD.encode([&signature[..], b"x"].concat())),
        "v=".into(),
        String::new(),
        "v".into(),
        good[2..].into(),
        format!("x=y,{good}"),
        format!(" {good}"),
        format!("{good}\n"),
        SERVER_FIRST.into(),
    ]);
    for message in wrong {
        let mut state = at_the_end();
        assert!(state.respond(message.as_bytes()).is_err(), "{message}");
        assert!(state.finish().is_err(), "{message}");
        assert!(state.respond(good.as_bytes()).is_err(), "{message}");
    }
}

#[test]
fn the_servers_error_is_kept_and_only_a_rejection_may_follow() {
    let mut state = example();
    state.respond(SERVER_FIRST.as_bytes()).unwrap();
    let answer = state.respond(b"e=invalid-proof,x=y").unwrap();
    assert!(answer.expose().is_empty());
    assert_eq!(state.server_error(), Some(&b"invalid-proof"[..]));
    assert_eq!(state.finish(), Err(ExchangeError::Contradiction));

    let mut state = example();
    state.respond(SERVER_FIRST.as_bytes()).unwrap();
    assert!(state.respond(b"e=").unwrap().expose().is_empty());
    assert_eq!(state.server_error(), None, "an error without a name");
    assert_eq!(state.finish(), Err(ExchangeError::Contradiction));
}

#[test]
fn v32_the_channel_binding_flag_follows_from_the_mechanisms_and_the_connection() {
    let bindings = [
        ("tls-exporter", &b"exported"[..]),
        ("tls-server-end-point", &b"hashed"[..]),
    ];
    let plain = Scram::sha256("user", "pencil").unwrap();
    let first = |scram: &Scram, context: &ConnectionInfo<'_>| begin(scram, "N", context).1;
    let with = &["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"][..];
    let with_another = &["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"][..];
    let without = &["SCRAM-SHA-256", "PLAIN", "X-PLUS"][..];
    let rows = [
        (&bindings[..], with, "n,,"),
        (&bindings[..], with_another, "n,,"),
        (&bindings[..], without, "y,,"),
        (&bindings[1..], without, "y,,"),
        (&[], with, "n,,"),
        (&[], without, "n,,"),
        (&[("tls-unique", &b"x"[..])], without, "n,,"),
    ];
    for (bindings, offered, header) in rows {
        let context = context().over_tls(bindings).advertising(offered);
        assert_eq!(first(&plain, &context), format!("{header}n=user,r=N"));
    }

    let all = context().over_tls(&bindings).advertising(with);
    let one = context().over_tls(&bindings[1..]).advertising(with);
    let none = context().over_tls(&[]).advertising(with);
    let end_point = plain.clone().plus_with(ChannelBinding::ServerEndPoint);
    let exporter = plain.clone().plus_with(ChannelBinding::Exporter);
    let any = plain.plus();
    for (scram, context, expected) in [
        (&any, &all, Some("p=tls-exporter,,n=user,r=N")),
        (&any, &one, Some("p=tls-server-end-point,,n=user,r=N")),
        (&any, &none, None),
        (&exporter, &all, Some("p=tls-exporter,,n=user,r=N")),
        (&exporter, &one, None),
        (&end_point, &all, Some("p=tls-server-end-point,,n=user,r=N")),
        (&end_point, &one, Some("p=tls-server-end-point,,n=user,r=N")),
    ] {
        assert_eq!(scram.name().as_str(), "SCRAM-SHA-256-PLUS");
        assert_eq!(scram.is_usable(context), expected.is_some());
        match expected {
            Some(expected) => assert_eq!(first(scram, context), expected),
            None => {
                assert_eq!(Driver::begin(scram, context).unwrap_err(), UNBOUND);
                let mut state = scram.start(context);
                assert!(state.initial_response().is_err());
                assert!(state.finish().is_err() && state.respond(b"").is_err());
            }
        }
    }

    // The channel binding is repeated under the proof, with its data.
    let (mut state, _) = begin(&any, "N", &all);
    let last = state.respond(b"r=Nx,s=QSXCR+Q6sek8bf92,i=4096").unwrap();
    let claimed = STANDARD.encode("p=tls-exporter,,exported");
    assert!(text(&last).starts_with(&format!("c={claimed},r=Nx,p=")));
}

#[test]
fn v12_names_are_escaped_so_that_they_cannot_end_early() {
    let scram = Scram::sha1("a,b=c\u{e9}", "p").unwrap();
    let scram = scram.authorize_as("=,").unwrap();
    let (mut state, first) = begin(&scram, NONCE, &context());
    assert_eq!(first, format!("n,a==3D=2C,n=a=2Cb=3Dc\u{e9},r={NONCE}"));
    let last = text(&state.respond(SERVER_FIRST.as_bytes()).unwrap());
    let header = STANDARD.encode("n,a==3D=2C,");
    assert!(last.starts_with(&format!("c={header},r=")));
    assert!(Scram::sha1("a\0b", "p").is_err());
    assert!(Scram::sha256("a", "p\0q").is_err());
    assert!(Scram::sha512("", "p").is_err());
    assert!(Scram::sha1("a", "p").unwrap().authorize_as("\0").is_err());
}

#[test]
fn v34_the_nonce_depends_on_every_random_byte() {
    let scram = Scram::sha512("u", "p").unwrap();
    let first = |nonce| {
        let (_, initial) = Driver::begin(&scram, &ConnectionInfo::new(nonce)).unwrap();
        text(&initial.unwrap())
    };
    assert_eq!(first([0; 32]), format!("n,,n=u,r={}", "A".repeat(43)));
    for byte in 0..32 {
        let mut nonce = [0; 32];
        nonce[byte] = 1;
        assert_ne!(first(nonce), first([0; 32]), "byte {byte}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn v35_no_challenge_panics_or_succeeds(challenges in proptest::collection::vec(challenge(), 1..4)) {
        let mut state = example();
        for challenge in challenges {
            let _ = state.respond(challenge.as_bytes());
        }
        prop_assert!(state.finish().is_err());
    }
}

/// A message like those of a server that does not know the password.
fn challenge() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(String::from("r=fyko+d2lbbFgONRv9qkxdawLx")),
        Just(String::from("s=QSXCR+Q6sek8bf92")),
        "i=[0-9]{0,3}",
        Just(String::from("i=4096")),
        "[a-z]=[ -~]{0,20}",
        "v=[A-Za-z0-9+/]{27}=",
        any::<String>(),
    ];
    let first = Just(String::from(SERVER_FIRST));
    prop_oneof![
        3 => proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join(",")),
        1 => first,
    ]
}
