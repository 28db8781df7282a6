use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;

const USER: &str = "user@example.org";
const CANARY: &str = "c4narY-t0ken";

fn context() -> ConnectionInfo<'static> {
    ConnectionInfo::new([7; 32])
}

fn begin(mechanism: &dyn Mechanism) -> (Driver, Option<Secret>) {
    Driver::begin(mechanism, &context()).unwrap()
}

fn base64(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    encode_base64(raw, &mut out);
    out
}

#[test]
fn plain_sends_everything_in_its_initial_response() {
    let (mut dialogue, initial) = begin(&Plain::new(USER, CANARY).unwrap());
    assert_eq!(
        initial.unwrap().expose(),
        b"\0user@example.org\0c4narY-t0ken"
    );
    assert_eq!(dialogue.name().as_str(), "PLAIN");
    assert_eq!(dialogue.finish(), Ok(()));

    let acting = Plain::new(USER, CANARY)
        .unwrap()
        .authorize_as("other")
        .unwrap();
    let (_, initial) = begin(&acting.authorize_as("boss").unwrap());
    assert_eq!(
        initial.unwrap().expose(),
        b"boss\0user@example.org\0c4narY-t0ken"
    );
}

#[test]
fn v28_each_mechanism_has_its_exact_number_of_challenges() {
    let plain = Plain::new(USER, CANARY).unwrap();
    let login = Login::new(USER, CANARY).unwrap();
    let xoauth2 = XOAuth2::new(USER, CANARY).unwrap();
    let bearer = OAuthBearer::new(USER, CANARY).unwrap();
    let (external, anonymous) = (External::new(), Anonymous::new());
    let mechanisms: [(&dyn Mechanism, usize); 6] = [
        (&plain, 0),
        (&login, 2),
        (&xoauth2, 1),
        (&bearer, 1),
        (&external, 0),
        (&anonymous, 0),
    ];
    for (mechanism, steps) in mechanisms {
        assert_eq!(mechanism.start(&context()).max_challenges(), steps);
        let (mut dialogue, _) = begin(mechanism);
        for _ in 0..steps {
            assert!(dialogue.challenge(b"").is_ok());
        }
        assert_eq!(
            dialogue.challenge(b"").unwrap_err(),
            ExchangeError::TooManyChallenges
        );
    }
}

#[test]
fn v28_success_counts_only_after_the_one_message_of_a_mechanism() {
    let (plain, token) = (Plain::new(USER, CANARY), OAuthBearer::new(USER, CANARY));
    let (plain, token) = (plain.unwrap(), token.unwrap());
    let mechanisms: [&dyn Mechanism; 4] = [&plain, &token, &External::new(), &Anonymous::new()];
    for mechanism in mechanisms {
        let mut exchange = mechanism.start(&context());
        assert_eq!(exchange.finish(), Err(ExchangeError::Premature));
        assert!(exchange.initial_response().unwrap().is_some());
        assert_eq!(exchange.finish(), Ok(()), "{}", mechanism.name());
    }
}

#[test]
fn v28_plain_answers_no_challenge_after_its_initial_response() {
    let (mut dialogue, _) = begin(&Plain::new(USER, CANARY).unwrap());
    assert_eq!(
        dialogue.challenge(b"").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
}

#[test]
fn login_answers_two_prompts_by_their_order_whatever_their_text() {
    for prompts in [
        ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"],
        ["UGFzc3dvcmQ6", "VXNlcm5hbWU6"],
        ["", "="],
    ] {
        let (mut dialogue, initial) = begin(&Login::new(USER, CANARY).unwrap());
        assert!(initial.is_none());
        assert_eq!(dialogue.finish(), Err(ExchangeError::Premature));
        assert_eq!(
            dialogue.challenge(prompts[0].as_bytes()).unwrap().expose(),
            USER.as_bytes()
        );
        assert_eq!(dialogue.finish(), Err(ExchangeError::Premature));
        assert_eq!(
            dialogue.challenge(prompts[1].as_bytes()).unwrap().expose(),
            CANARY.as_bytes()
        );
        assert_eq!(dialogue.finish(), Ok(()));
        assert_eq!(
            dialogue.challenge(b"").unwrap_err(),
            ExchangeError::TooManyChallenges
        );
    }
}

#[test]
fn xoauth2_without_a_challenge_is_done_after_its_initial_response() {
    let (mut dialogue, initial) = begin(&XOAuth2::new(USER, CANARY).unwrap());
    let expected = b"user=user@example.org\x01auth=Bearer c4narY-t0ken\x01\x01";
    assert_eq!(initial.unwrap().expose(), expected);
    assert_eq!((dialogue.finish(), dialogue.server_error()), (Ok(()), None));
}

#[test]
fn v33_xoauth2_answers_the_servers_error_with_an_empty_response_and_keeps_it() {
    let (mut dialogue, _) = begin(&XOAuth2::new(USER, CANARY).unwrap());
    let reason = br#"{"status":"401"}"#;
    assert!(
        dialogue
            .challenge(&base64(reason))
            .unwrap()
            .expose()
            .is_empty()
    );
    assert_eq!(dialogue.server_error(), Some(&reason[..]));
    assert_eq!(dialogue.finish(), Err(ExchangeError::Contradiction));
    assert_eq!(
        dialogue.challenge(b"").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
    assert_eq!(dialogue.server_error(), Some(&reason[..]));
}

#[test]
fn v33_oauthbearer_answers_the_servers_error_with_one_byte_and_keeps_it() {
    let (mut dialogue, initial) = begin(&OAuthBearer::new("a=b,c", CANARY).unwrap());
    assert_eq!(
        initial.unwrap().expose(),
        b"n,a=a=3Db=2Cc,\x01auth=Bearer c4narY-t0ken\x01\x01"
    );
    assert_eq!(dialogue.finish(), Ok(()));
    let reason = br#"{"status":"invalid_token"}"#;
    let answer = dialogue.challenge(&base64(reason)).unwrap();
    assert_eq!(base64(answer.expose()), b"AQ==");
    assert_eq!(dialogue.server_error(), Some(&reason[..]));
    assert_eq!(dialogue.finish(), Err(ExchangeError::Contradiction));
    assert_eq!(
        dialogue.challenge(b"").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
}

#[test]
fn a_token_provider_is_called_once_per_exchange_and_its_tokens_are_checked() {
    use core::sync::atomic::{AtomicUsize, Ordering};
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let source = move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        Some(match request {
            TokenRequest::Cached => "old".into(),
            TokenRequest::Refreshed => "new".into(),
        })
    };
    let mechanism = XOAuth2::from_source("u", source).unwrap();
    assert!(mechanism.can_refresh() && !XOAuth2::new("u", "t").unwrap().can_refresh());
    for (context, token) in [
        (context(), "old"),
        (context().after_rejected_token(), "new"),
        (context(), "old"),
    ] {
        let (mut dialogue, initial) = Driver::begin(&mechanism, &context).unwrap();
        let expected = format!("user=u\u{1}auth=Bearer {token}\u{1}\u{1}");
        assert_eq!(initial.unwrap().expose(), expected.as_bytes());
        assert!(dialogue.challenge(b"e30=").is_ok());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    for bad in [None, Some(""), Some("a b"), Some("a\u{1}b"), Some("\u{e4}")] {
        let source = move |_| bad.map(Secret::from);
        for mechanism in [
            Box::new(OAuthBearer::from_source("u", source).unwrap()) as Box<dyn Mechanism>,
            Box::new(XOAuth2::from_source("u", source).unwrap()),
        ] {
            let failure = Driver::begin(&*mechanism, &context()).unwrap_err();
            assert!(matches!(failure, ExchangeError::Mechanism(_)), "{bad:?}");
        }
    }
    let credentials = Credentials::token_provider("u", |_| None).unwrap();
    assert!(credentials.can_refresh() && credentials.names().eq(["OAUTHBEARER", "XOAUTH2"]));
    assert!(!Credentials::token("u", "t").unwrap().can_refresh());
}

#[test]
fn external_and_anonymous_send_only_an_initial_response() {
    for (mechanism, message) in [
        (Box::new(External::new()) as Box<dyn Mechanism>, ""),
        (
            Box::new(External::new().authorize_as("boss").unwrap()),
            "boss",
        ),
        (Box::new(Anonymous::new()), ""),
        (
            Box::new(Anonymous::new().with_trace("sirhc").unwrap()),
            "sirhc",
        ),
    ] {
        let (mut dialogue, initial) = begin(&*mechanism);
        assert_eq!(initial.unwrap().expose(), message.as_bytes());
        assert_eq!(dialogue.finish(), Ok(()));
    }
    assert!(External::new().authorize_as("a\0b").is_err());
    // RFC 4505, section 2: characters, not bytes.
    let euros = |count| Anonymous::new().with_trace(&"\u{20ac}".repeat(count));
    assert!(euros(255).is_ok());
    assert_eq!(
        euros(256).unwrap_err().kind(),
        CredentialsErrorKind::TooLong
    );
    for bad in ["", "a\tb", "a\0", "\u{7f}", "\u{85}"] {
        assert!(Anonymous::new().with_trace(bad).is_err(), "{bad:?}");
    }
}

#[cfg(feature = "legacy")]
#[test]
fn cram_md5_computes_the_digest_of_the_rfc() {
    // RFC 2195, section 2.
    let (mut dialogue, initial) = begin(&CramMd5::new("tim", "tanstaaftanstaaf").unwrap());
    assert!(initial.is_none());
    assert_eq!(dialogue.finish(), Err(ExchangeError::Premature));
    let challenge = base64(b"<1896.697170952@postoffice.reston.mci.net>");
    let answer = dialogue.challenge(&challenge).unwrap();
    assert_eq!(answer.expose(), b"tim b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(dialogue.finish(), Ok(()));
    assert_eq!(
        dialogue.challenge(&challenge).unwrap_err(),
        ExchangeError::TooManyChallenges
    );
    let (mut dialogue, _) = begin(&CramMd5::new("tim", "x").unwrap());
    assert!(dialogue.challenge(b"").is_err());
}

#[test]
fn v33_xoauth2_keeps_at_most_4096_bytes_of_the_servers_error() {
    let (mut dialogue, _) = begin(&XOAuth2::new(USER, CANARY).unwrap());
    dialogue.challenge(&base64(&[b'x'; 9000])).unwrap();
    assert_eq!(dialogue.server_error().unwrap(), [b'x'; 4096]);
}

#[test]
fn v12_a_long_initial_response_waits_for_a_challenge() {
    // AUTH PLAIN, a space and CRLF leave 499 bytes: 124 groups of base64, 372 of message.
    let longest = "p".repeat(372 - "\0u\0".len());
    let (_, initial) = begin(&Plain::new("u", longest.as_str()).unwrap());
    assert!(initial.is_some());

    for challenge in [&b""[..], b"=", b"YW55dGhpbmc="] {
        let plain = Plain::new("u", longest.clone() + "p").unwrap();
        let (mut dialogue, initial) = begin(&plain);
        assert!(initial.is_none());
        assert_eq!(dialogue.finish(), Err(ExchangeError::Premature));
        assert_eq!(dialogue.challenge(challenge).unwrap().expose().len(), 373);
        assert_eq!(dialogue.finish(), Ok(()));
        assert_eq!(
            dialogue.challenge(b"").unwrap_err(),
            ExchangeError::TooManyChallenges
        );
    }
}

#[test]
fn a_deferred_initial_response_does_not_use_up_a_step() {
    let token = "t".repeat(2000);
    let (mut dialogue, initial) = begin(&XOAuth2::new(USER, token.as_str()).unwrap());
    assert!(initial.is_none());
    assert!(
        dialogue
            .challenge(b"")
            .unwrap()
            .expose()
            .ends_with(b"ttt\x01\x01")
    );
    assert!(dialogue.challenge(b"e30=").unwrap().expose().is_empty());
    assert_eq!(dialogue.server_error(), Some(&b"{}"[..]));
    assert_eq!(
        dialogue.challenge(b"e30=").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
}

#[test]
fn v35_every_text_of_a_challenge_has_a_defined_result() {
    for (text, expected) in [
        (&b""[..], Ok(&b""[..])),
        (b"=", Ok(b"")),
        (b"YQ==", Ok(b"a")),
        (b"AAEC/w==", Ok(b"\x00\x01\x02\xFF")),
        (b"YQ", Err(ExchangeError::Encoding)),
        (b"YQ=", Err(ExchangeError::Encoding)),
        (b"YR==", Err(ExchangeError::Encoding)),
        (b"==", Err(ExchangeError::Encoding)),
        (b"=AAA", Err(ExchangeError::Encoding)),
        (b"AAA=BBBB", Err(ExchangeError::Encoding)),
        (b"YQ== ", Err(ExchangeError::Encoding)),
        (b"YW\r\n=", Err(ExchangeError::Encoding)),
        (b"go ahead", Err(ExchangeError::Encoding)),
        (b"_-8=", Err(ExchangeError::Encoding)),
        (b"\xFF\0", Err(ExchangeError::Encoding)),
        (&[b'A'; 12288], Ok(&[0; 9216])),
        (&[b'A'; 12292], Err(ExchangeError::TooLong)),
    ] {
        assert_eq!(
            decode_challenge(text).as_deref(),
            expected.as_ref().copied()
        );
    }
    let (mut dialogue, _) = begin(&XOAuth2::new(USER, CANARY).unwrap());
    assert_eq!(
        dialogue.challenge(b"denied").unwrap_err(),
        ExchangeError::Encoding
    );
    // LOGIN responds by position. A deferred initial response ignores the text of its challenge.
    let (mut dialogue, _) = begin(&Login::new(USER, CANARY).unwrap());
    for (prompt, answer) in [("Username:", USER), ("Password:", CANARY)] {
        let response = dialogue.challenge(prompt.as_bytes()).unwrap();
        assert_eq!(response.expose(), answer.as_bytes());
    }
    assert_eq!(
        dialogue.challenge(b"Token:").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
    let context = context().deferring_initial_response();
    let plain = Plain::new(USER, CANARY).unwrap();
    let (mut dialogue, initial) = Driver::begin(&plain, &context).unwrap();
    assert!(initial.is_none() && dialogue.finish().is_err());
    assert!(dialogue.challenge(b"go ahead").is_ok() && dialogue.finish().is_ok());
}

#[test]
fn v12_parts_that_would_change_the_message_are_rejected() {
    use CredentialsErrorKind as F;
    let fault = |result: Result<Credentials, CredentialsError>| {
        result.map_err(|error| error.kind()).unwrap_err()
    };
    for (user, secret, expected) in [
        ("", "p", F::Empty),
        ("u", "", F::Empty),
        ("u\0v", "p", F::Character),
        ("u", "p\0q", F::Character),
    ] {
        assert_eq!(fault(Credentials::password(user, secret)), expected);
        assert_eq!(fault(Credentials::xoauth2(user, secret)), expected);
    }
    for byte in 0..=255_u8 {
        let secret = || Secret::from(vec![b'p', byte, b'q']);
        assert_eq!(Credentials::password("u", secret()).is_ok(), byte != 0);
        assert_eq!(
            Credentials::xoauth2("u", secret()).is_ok(),
            byte.is_ascii_graphic()
        );
        let user = String::from_iter(['u', char::from(byte)]);
        assert_eq!(
            Credentials::xoauth2(&user, "t").is_ok(),
            byte >= b' ' && byte != 0x7f
        );
        let plain = Plain::new("u", "p").unwrap();
        assert_eq!(plain.authorize_as(&user).is_ok(), byte != 0);
    }
    let error = Credentials::password("u", "canary\0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "password contains a character that the mechanism cannot carry"
    );
}

#[test]
fn v12_the_longest_parts_together_fit_in_a_line_of_12288_bytes() {
    let (user, secret) = ("u".repeat(1020), "s".repeat(7140));
    let plain = Plain::new(&user, secret.as_str())
        .unwrap()
        .authorize_as(&user)
        .unwrap();
    let xoauth2 = XOAuth2::new(&user, secret.as_str()).unwrap();
    let bearer = OAuthBearer::new(&user, secret.as_str()).unwrap();
    let mechanisms: [&dyn Mechanism; 3] = [&plain, &xoauth2, &bearer];
    for mechanism in mechanisms {
        let (mut dialogue, _) = begin(mechanism);
        assert!(base64_len(dialogue.challenge(b"").unwrap().expose()) + 2 <= 12288);
    }
    for error in [
        Plain::new(&(user + "u"), "p").unwrap_err(),
        Login::new("u", secret.clone() + "s").unwrap_err(),
        XOAuth2::new("u", secret + "s").unwrap_err(),
        OAuthBearer::new(&",".repeat(341), "t").unwrap_err(),
    ] {
        assert_eq!(error.kind(), CredentialsErrorKind::TooLong);
    }
}

/// A mechanism with responses of a given length that never ends by itself.
#[derive(Debug)]
struct Parrot {
    initial: Option<usize>,
    response: usize,
}

impl Mechanism for Parrot {
    fn name(&self) -> Name {
        Name::new("X-PARROT_20-LETTERS-").unwrap()
    }

    fn start(&self, context: &ConnectionInfo<'_>) -> Box<dyn Exchange> {
        assert_eq!(context.nonce(), &[7; 32]);
        Box::new(Self { ..*self })
    }
}

impl Exchange for Parrot {
    fn initial_response(&mut self) -> Result<Option<Secret>, ExchangeError> {
        Ok(self.initial.map(|len| vec![b'i'; len].into()))
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, ExchangeError> {
        Ok(vec![b'r'; self.response].into())
    }

    fn finish(&mut self) -> Result<(), ExchangeError> {
        Err(ExchangeError::Mechanism("parrots never agree"))
    }

    fn max_challenges(&self) -> usize {
        usize::MAX
    }
}

#[test]
fn v28_a_mechanism_that_never_ends_is_cut_off() {
    let (mut dialogue, _) = begin(&Parrot {
        initial: None,
        response: 1,
    });
    for _ in 0..16 {
        assert_eq!(dialogue.challenge(b"").unwrap().expose(), b"r");
    }
    assert_eq!(
        dialogue.challenge(b"").unwrap_err(),
        ExchangeError::TooManyChallenges
    );
    assert_eq!(
        dialogue.finish().unwrap_err().to_string(),
        "parrots never agree"
    );
}

#[test]
fn v12_a_response_over_12288_bytes_is_an_error() {
    let longest = (12288 - 2) / 4 * 3;
    let (mut dialogue, _) = begin(&Parrot {
        initial: None,
        response: longest,
    });
    assert!(dialogue.challenge(b"").is_ok());
    let (mut dialogue, _) = begin(&Parrot {
        initial: None,
        response: longest + 1,
    });
    assert_eq!(dialogue.challenge(b"").unwrap_err(), ExchangeError::TooLong);
    let parrot = Parrot {
        initial: Some(longest + 1),
        response: 0,
    };
    assert_eq!(
        Driver::begin(&parrot, &context()).unwrap_err(),
        ExchangeError::TooLong
    );
}

#[test]
fn an_empty_initial_response_is_not_a_missing_one() {
    let (_, initial) = begin(&Parrot {
        initial: Some(0),
        response: 0,
    });
    assert!(initial.unwrap().expose().is_empty());
}

#[test]
fn a_name_is_1_to_20_upper_case_letters_digits_hyphens_and_underscores() {
    for name in ["A", "SCRAM-SHA-256-PLUS", "9_-", "ABCDEFGHIJKLMNOPQRST"] {
        assert_eq!(Name::new(name).unwrap().as_str(), name);
    }
    for name in [
        "",
        "plain",
        "A B",
        "A\r\n",
        "\u{c4}",
        "ABCDEFGHIJKLMNOPQRSTU",
    ] {
        assert_eq!(Name::new(name), None, "{name:?}");
    }
}

#[test]
fn connection_info_returns_what_was_set() {
    let bindings = [("tls-exporter", &b"data"[..])];
    let secure = context()
        .over_tls(&bindings)
        .advertising(&["PLAIN", "x-own"]);
    assert!(secure.advertises("plain") && secure.advertises("X-OWN") && !secure.advertises("PLAI"));
    assert!(secure.after_rejected_token().needs_refresh() && !secure.needs_refresh());
    assert!(secure.secure() && !context().secure());
    assert_eq!(secure.channel_binding("tls-exporter"), Some(&b"data"[..]));
    assert_eq!(secure.channel_binding("tls-unique"), None);
    assert_eq!(
        format!("{secure:?}"),
        "Context { secure: true, offered: [\"PLAIN\", \"x-own\"], .. }"
    );
}

#[test]
fn v37_no_secret_shows_in_debug() {
    let plain = Plain::new(USER, CANARY).unwrap();
    let login = Login::new(USER, CANARY).unwrap();
    let xoauth2 = XOAuth2::new(USER, CANARY).unwrap();
    let credentials = Credentials::password(USER, CANARY).unwrap();
    assert_eq!(
        format!("{:?}", credentials.restrict_to(["PLAIN", "LOGIN"])),
        r#"Credentials ["PLAIN", "LOGIN"]"#
    );

    let mut shown = String::new();
    let bearer = OAuthBearer::new(USER, CANARY).unwrap();
    let external = External::new().authorize_as(CANARY).unwrap();
    let anonymous = Anonymous::new().with_trace(CANARY).unwrap();
    let mut mechanisms: Vec<&dyn Mechanism> =
        vec![&plain, &login, &xoauth2, &bearer, &external, &anonymous];
    #[cfg(feature = "scram")]
    let scram = Scram::sha256(USER, CANARY).unwrap();
    #[cfg(feature = "scram")]
    mechanisms.push(&scram);
    #[cfg(feature = "legacy")]
    let cram = CramMd5::new(USER, CANARY).unwrap();
    #[cfg(feature = "legacy")]
    mechanisms.push(&cram);
    mechanisms.sort_by_key(|mechanism| mechanism.name().as_str());
    for mechanism in mechanisms {
        let (dialogue, initial) = begin(mechanism);
        shown += &format!(
            "{mechanism:?} {mechanism:#?} {dialogue:?} {dialogue:#?} {initial:?} {initial:#?}"
        );
    }
    shown += &format!("{credentials:?} {credentials:#?}");
    assert_no_canary(&shown);
}

/// Fails if the canary appears in cleartext, in hexadecimal, in decimal bytes, or in base64 at any
/// alignment.
fn assert_no_canary(shown: &str) {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal: Vec<String> = CANARY.bytes().map(|byte| byte.to_string()).collect();
    let mut traces = vec![CANARY.to_string(), hex, decimal[..4].join(", ")];
    for shift in 0..3 {
        let inner = &CANARY.as_bytes()[shift..];
        traces.push(String::from_utf8(base64(&inner[..inner.len() / 3 * 3])).unwrap());
    }
    for trace in traces {
        assert!(
            !shown.to_lowercase().contains(&trace.to_lowercase()),
            "{trace} in {shown}"
        );
    }
}

proptest! {
    #[test]
    fn base64_is_appended_and_decodes_to_the_same(raw: Vec<u8>, front: Vec<u8>) {
        let mut out = front.clone();
        encode_base64(&raw, &mut out);
        let written = out.strip_prefix(&front[..]).unwrap();
        prop_assert_eq!(written.len(), base64_len(&raw));
        prop_assert!(!written.iter().any(u8::is_ascii_control));
        prop_assert_eq!(decode_challenge(written).unwrap(), raw);
    }

    #[test]
    fn v35_no_challenge_panics(text: Vec<u8>) {
        if let Ok(challenge) = decode_challenge(&text) {
            prop_assert!(text == b"=" || base64(&challenge) == text);
        }
    }
}
