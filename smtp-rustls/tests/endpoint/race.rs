//! The race of addresses (RFC 8305): order, spacing, bounds, and every failure once.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::common::answered::Answered as _;
use proptest::prelude::*;
use proptest::sample::Index;
use smtp_rustls::proto::{Error, ErrorKind, Security, Stage, Time, Timeout, Timeouts, Wire};
use smtp_rustls::{Attempts, Endpoint, Session, Target};

const SPACING: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(10);

fn endpoint() -> Endpoint {
    Endpoint::builder("mail.example.org")
        .security(Security::Cleartext)
        .timeouts(Timeouts::submission())
        .build()
        .unwrap()
}

/// An IPv4 address of this number.
fn four(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 25).into()
}

/// An IPv6 address of this number.
fn six(host: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, host], 25).into()
}

fn tcp(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<Target> {
    addresses.into_iter().map(Target::Tcp).collect()
}

fn at(milliseconds: u64) -> Time {
    Time::from_origin(Duration::from_millis(milliseconds))
}

/// All targets that are due.
fn due(attempts: &mut Attempts, now: Time) -> Vec<Target> {
    std::iter::from_fn(|| attempts.poll_connect(now)).collect()
}

fn refuse(attempts: &mut Attempts, target: &Target) {
    attempts.handle_connect_error(target, io::ErrorKind::ConnectionRefused.into());
}

/// A greeting that rejects the client: permanently, or for now.
fn rejected(mut session: Session, permanently: bool) -> Error {
    let greeting = match permanently {
        true => "554 5.7.1 not you\r\n",
        false => "421 4.3.2 not now\r\n",
    };
    session.handle_input(Time::ORIGIN, greeting.as_bytes());
    let error = session.smtp_mut().poll_ready().answer().unwrap_err();
    assert_eq!(error.is_transient(), !permanently);
    error
}

fn addresses(error: &Error) -> Vec<Option<SocketAddr>> {
    let mut addresses: Vec<_> = error.attempts().iter().map(Error::address).collect();
    addresses.push(error.address());
    addresses
}

#[test]
fn families_alternate_beginning_with_that_of_the_first_address() {
    for (given, expected) in [
        (
            vec![four(1), four(2), four(3), six(1)],
            vec![four(1), six(1), four(2), four(3)],
        ),
        (
            vec![six(1), four(1), four(2), four(3), six(2)],
            vec![six(1), four(1), six(2), four(2), four(3)],
        ),
        (
            vec![four(1), six(1), six(2), six(3)],
            vec![four(1), six(1), six(2), six(3)],
        ),
        (
            vec![six(1), four(1), six(1), four(1)],
            vec![six(1), four(1)],
        ),
    ] {
        let mut attempts = endpoint().attempts(given);
        for target in tcp(expected) {
            let begun = due(&mut attempts, Time::ORIGIN);
            refuse(&mut attempts, &target);
            assert_eq!(begun, [target]);
        }
        assert!(attempts.is_over());
    }
}

#[test]
fn sixteen_addresses_of_both_families_are_tried_at_most() {
    let many = (1..=100).map(four).chain((1..=100).map(six));
    let mut attempts = endpoint().attempts(many);
    let mut tried = Vec::new();
    while let Some(target) = attempts.poll_connect(Time::ORIGIN) {
        refuse(&mut attempts, &target);
        tried.push(target);
    }
    let expected = (1..=8).flat_map(|host| [four(host), six(host.into())]);
    assert_eq!(tried, tcp(expected));
    assert_eq!(attempts.into_error().attempts().len(), 15);
}

#[test]
fn a_silent_address_delays_the_next_by_a_quarter_of_a_second() {
    let both = tcp([four(1), four(2)]);
    let [first, second] = &both[..] else {
        panic!("{both:?}");
    };
    let mut attempts = endpoint().attempts([four(1), four(2)]);
    assert_eq!(due(&mut attempts, Time::ORIGIN), both[..1]);
    assert_eq!(attempts.poll_timeout(), Some(at(250)));
    attempts.handle_timeout(at(249));
    assert_eq!(due(&mut attempts, at(249)), []);
    attempts.handle_timeout(at(250));
    assert_eq!(due(&mut attempts, at(250)), both[1..]);
    assert!(attempts.is_connecting(first) && attempts.is_connecting(second));
    assert_eq!(attempts.poll_timeout(), Some(Time::ORIGIN + LIMIT));
    assert!(attempts.handle_connected(second, None).is_some());
    // The other is cancelled.
    assert!(!attempts.is_connecting(first));
    assert!(attempts.handle_connected(first, None).is_none());
    assert_eq!(attempts.poll_timeout(), None);
    assert_eq!(due(&mut attempts, at(1000)), []);
    assert!(!attempts.is_over());
}

#[test]
fn four_connects_are_in_progress_at_most_and_each_has_a_limit_of_its_own() {
    let all = tcp((1..=6).map(four));
    let mut attempts = endpoint().attempts((1..=6).map(four));
    for number in 0..4 {
        let now = at(250 * number);
        attempts.handle_timeout(now);
        assert_eq!(due(&mut attempts, now).len(), 1);
    }
    attempts.handle_timeout(at(5000));
    assert_eq!(due(&mut attempts, at(5000)), []);
    assert_eq!(attempts.poll_timeout(), Some(at(10_000)));
    attempts.handle_timeout(at(10_000));
    assert!(!attempts.is_connecting(&all[0]) && attempts.is_connecting(&all[1]));
    assert_eq!(due(&mut attempts, at(10_000)), all[4..5]);
    refuse(&mut attempts, &all[2]);
    assert_eq!(due(&mut attempts, at(10_001)), all[5..]);
    for target in [1, 3, 4, 5] {
        refuse(&mut attempts, &all[target]);
    }
    assert!(attempts.is_over());
    let error = attempts.into_error();
    let first = &error.attempts()[0];
    assert!(matches!(first.kind(), ErrorKind::Timeout(Timeout::Connect)));
    let expected = [1, 3, 2, 4, 5, 6].map(|host| Some(four(host)));
    assert_eq!(addresses(&error), expected);
    assert_eq!(error.stage(), Stage::Connect);
    assert_eq!(error.endpoint(), Some("mail.example.org:25"));
}

#[test]
fn after_a_transient_failure_those_not_tried_are_next_and_those_cancelled_are_last() {
    let all = tcp((1..=5).map(four));
    let mut attempts = endpoint().attempts((1..=5).map(four));
    assert_eq!(due(&mut attempts, at(0)), all[..1]);
    assert_eq!(due(&mut attempts, at(250)), all[1..2]);
    refuse(&mut attempts, &all[1]);
    assert_eq!(due(&mut attempts, at(300)), all[2..3]);
    let session = attempts.handle_connected(&all[2], None).unwrap();
    attempts.handle_failure(rejected(session, false));
    assert_eq!(attempts.poll_timeout(), Some(Time::ORIGIN), "at once");
    assert_eq!(due(&mut attempts, at(400)), all[3..4]);
    assert_eq!(due(&mut attempts, at(649)), []);
    assert_eq!(due(&mut attempts, at(650)), all[4..5]);
    assert_eq!(due(&mut attempts, at(900)), all[..1]);
    assert_eq!(attempts.poll_timeout(), Some(at(400) + LIMIT));
    // It has a whole limit again, and can win.
    let session = attempts.handle_connected(&all[0], None).unwrap();
    attempts.handle_failure(rejected(session, true));
    assert!(attempts.is_over());
    assert_eq!(due(&mut attempts, at(1000)), []);
    let error = attempts.into_error();
    assert_eq!(error.reply().unwrap().code().as_u16(), 554);
    assert_eq!(addresses(&error), [2, 3, 1].map(|host| Some(four(host))));
}

#[test]
fn nothing_else_is_connected_to_while_the_same_target_is_tried_again() {
    let tls = smtp_test::Tls::new();
    let endpoint = Endpoint::builder("mail.example.org")
        .security(Security::Opportunistic)
        .timeouts(Timeouts::submission())
        .tls(crate::common::trust(&tls))
        .build()
        .unwrap();
    let broken = |mut session: Session| {
        for reply in ["220 ready\r\n", "250-hello\r\n250 STARTTLS\r\n"] {
            session.handle_input(Time::ORIGIN, reply.as_bytes());
            let count = crate::common::transmit(&mut session).map_or(0, |sent| sent.len());
            session.handle_sent(Time::ORIGIN, count);
        }
        session.handle_eof(Time::ORIGIN);
        session.smtp_mut().poll_ready().answer().unwrap_err()
    };
    let all = tcp([four(1), four(2)]);
    let mut attempts = endpoint.attempts([four(1), four(2)]);
    assert_eq!(due(&mut attempts, at(0)), all[..1]);
    let session = attempts.handle_connected(&all[0], None).unwrap();
    attempts.handle_failure(broken(session));
    assert!(!attempts.is_connecting(&all[0]), "not yet");
    assert_eq!(due(&mut attempts, at(100)), all[..1]);
    assert!(attempts.is_connecting(&all[0]));
    assert_eq!(attempts.poll_timeout(), Some(at(100) + LIMIT));
    assert_eq!(due(&mut attempts, at(5000)), []);
    attempts.handle_timeout(at(10_100));
    assert!(!attempts.is_connecting(&all[0]));
    assert_eq!(due(&mut attempts, at(10_100)), all[1..]);
    refuse(&mut attempts, &all[1]);
    let error = attempts.into_error();
    assert_eq!(addresses(&error), [1, 1, 2].map(|host| Some(four(host))));
}

#[test]
fn a_host_without_an_address_is_an_error() {
    let attempts = endpoint().attempts([]);
    assert!(attempts.is_over());
    let none = attempts.into_error();
    assert_eq!(none.endpoint(), Some("mail.example.org:25"));
    assert_eq!(none.stage(), Stage::Connect);
}

#[test]
fn only_addresses_of_the_family_of_the_local_address_are_tried() {
    let from = |local: &str| {
        let builder = Endpoint::builder("mail.example.org").security(Security::Cleartext);
        let local = local.parse().unwrap();
        let endpoint = builder.local_address(local).build().unwrap();
        assert_eq!(endpoint.local_address(), Some(local));
        endpoint
    };
    let given = [six(1), four(1), six(2)];
    let mut attempts = from("::").attempts(given);
    for target in tcp([six(1), six(2)]) {
        assert_eq!(attempts.poll_connect(at(0)).as_ref(), Some(&target));
        refuse(&mut attempts, &target);
    }
    assert!(attempts.is_over());
    let mut attempts = from("192.0.2.7").attempts(given);
    assert_eq!(due(&mut attempts, at(0)), tcp([four(1)]));

    let attempts = from("192.0.2.7").attempts([six(1)]);
    assert!(attempts.is_over());
    let error = attempts.into_error();
    assert_eq!(error.stage(), Stage::Connect);
    let text = "the host has no IPv4 address, and the local address is one";
    assert!(format!("{error:#}").ends_with(text), "{error:#}");
    assert!(error.hint().is_none());
}

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, and the driver looks at it.
    Wait(u64),
    /// Time passes up to the timeout.
    WaitForTimeout,
    /// One of the connects fails.
    Refuse(Index),
    /// One of the connects succeeds.
    Connect(Index),
    /// The session fails.
    Reject { permanently: bool },
    /// Something is reported of a target that is not being connected to.
    Spurious(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..300_u64).prop_map(Step::Wait),
        4 => Just(Step::WaitForTimeout),
        4 => any::<Index>().prop_map(Step::Refuse),
        2 => any::<Index>().prop_map(Step::Connect),
        2 => Just(Step::Reject { permanently: false }),
        1 => Just(Step::Reject { permanently: true }),
        1 => any::<Index>().prop_map(Step::Spurious),
    ]
}

/// What a driver knows of a race.
struct Model {
    now: Time,
    /// The addresses in the order in which they are to be tried first.
    order: Vec<Target>,
    /// How many of these have been tried.
    begun: usize,
    /// Those whose connect was cancelled.
    cancelled: Vec<Target>,
    /// The connects in progress, and when each began.
    connecting: Vec<(Target, Time)>,
    /// The session and its target.
    connected: Option<(Target, Session)>,
    /// When the next connect may begin.
    next: Time,
    failures: Vec<Target>,
    is_over: bool,
}

impl Model {
    fn new(given: &[SocketAddr]) -> Self {
        let mut distinct: Vec<SocketAddr> = Vec::new();
        for address in given {
            if !distinct.contains(address) {
                distinct.push(*address);
            }
        }
        // By rank in the family; of the same rank, the family of the first address leads.
        let rank = |address: &SocketAddr| {
            let same = |each: &&SocketAddr| each.is_ipv4() == address.is_ipv4();
            let before = distinct.iter().take_while(|each| *each != address);
            let leads = distinct[0].is_ipv4() == address.is_ipv4();
            (before.filter(same).count(), !leads)
        };
        let mut order = distinct.clone();
        order.sort_by_key(rank);
        order.truncate(16);
        Self {
            now: Time::ORIGIN,
            order: tcp(order),
            begun: 0,
            cancelled: Vec::new(),
            connecting: Vec::new(),
            connected: None,
            next: Time::ORIGIN,
            failures: Vec::new(),
            is_over: false,
        }
    }

    /// Begins all connects that are due, as the machine does.
    fn begin(&mut self, attempts: &mut Attempts) {
        attempts.handle_timeout(self.now);
        let now = self.now;
        let (late, left) = self
            .connecting
            .drain(..)
            .partition(|(_, began)| *began + LIMIT <= now);
        self.connecting = left;
        for (target, _) in late {
            self.fail(target);
        }
        while let Some(target) = attempts.poll_connect(self.now) {
            assert!(self.connected.is_none() && !self.is_over);
            assert!(self.now >= self.next, "too early");
            assert!(!self.failures.contains(&target), "it has failed");
            if self.order.get(self.begun) == Some(&target) {
                self.begun += 1;
            } else {
                assert_eq!(self.begun, self.order.len(), "others come first");
                assert_eq!(target, self.cancelled.remove(0));
            }
            self.connecting.push((target, self.now));
            assert!(self.connecting.len() <= 4);
            self.next = self.now + SPACING;
        }
        self.compare(attempts);
    }

    fn compare(&self, attempts: &Attempts) {
        for target in &self.order {
            let expected = self.connecting.iter().any(|(each, _)| each == target);
            assert_eq!(attempts.is_connecting(target), expected);
        }
        let is_racing = self.connected.is_none() && !self.is_over;
        let waits = self.begun < self.order.len() || !self.cancelled.is_empty();
        assert_eq!(
            attempts.is_over(),
            self.is_over || (is_racing && self.connecting.is_empty() && !waits)
        );
        let limits = self.connecting.iter().map(|(_, began)| *began + LIMIT);
        let next = (is_racing && waits && self.connecting.len() < 4).then_some(self.next);
        assert_eq!(attempts.poll_timeout(), limits.chain(next).min());
        assert!(attempts.poll_timeout().is_none_or(|at| at > self.now));
    }

    fn fail(&mut self, target: Target) {
        self.failures.push(target);
        self.next = Time::ORIGIN;
    }

    fn take(&mut self, index: Index) -> Option<Target> {
        let count = self.connecting.len();
        (count > 0).then(|| self.connecting.remove(index.index(count)).0)
    }

    fn apply(&mut self, step: Step, attempts: &mut Attempts) {
        match step {
            Step::Wait(milliseconds) => self.now = self.now + Duration::from_millis(milliseconds),
            Step::WaitForTimeout => {
                self.now = attempts.poll_timeout().unwrap_or(self.now).max(self.now);
            }
            Step::Refuse(index) => {
                if let Some(target) = self.take(index) {
                    refuse(attempts, &target);
                    self.fail(target);
                }
            }
            Step::Connect(index) => {
                if let Some(target) = self.take(index) {
                    let session = attempts.handle_connected(&target, None).unwrap();
                    let cancelled = self.connecting.drain(..).map(|(target, _)| target);
                    self.cancelled.extend(cancelled);
                    self.connected = Some((target, session));
                }
            }
            Step::Reject { permanently } => {
                let Some((target, session)) = self.connected.take() else {
                    attempts.handle_failure(Error::connect_timeout());
                    return;
                };
                attempts.handle_failure(rejected(session, permanently));
                self.fail(target);
                self.is_over = permanently;
            }
            Step::Spurious(index) => {
                let target = &self.order[index.index(self.order.len())];
                if !attempts.is_connecting(target) {
                    assert!(attempts.handle_connected(target, None).is_none());
                    refuse(attempts, target);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Order, spacing and bound are those of the model, no address that failed comes again, each
    /// failure is reported once, and no time limit is lost.
    #[test]
    fn a_race_is_that_of_the_model(
        hosts in proptest::collection::vec((any::<bool>(), 1..12_u8), 1..24),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let given: Vec<SocketAddr> = hosts
            .into_iter()
            .map(|(is_four, host)| if is_four { four(host) } else { six(host.into()) })
            .collect();
        let mut attempts = endpoint().attempts(given.iter().copied());
        let mut model = Model::new(&given);
        model.begin(&mut attempts);
        for step in steps {
            model.apply(step, &mut attempts);
            model.begin(&mut attempts);
        }
        // The rest fails by the clock.
        if model.connected.is_some() {
            model.apply(Step::Reject { permanently: false }, &mut attempts);
        }
        while !attempts.is_over() {
            model.begin(&mut attempts);
            model.apply(Step::WaitForTimeout, &mut attempts);
            model.begin(&mut attempts);
        }
        let failed: Vec<_> = addresses(&attempts.into_error()).into_iter().flatten().collect();
        prop_assert_eq!(tcp(failed), model.failures);
    }
}
