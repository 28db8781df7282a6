//! Random histories of a pool beside a model of it.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::Config;

use crate::exhaustive::cases;
use crate::history::World;

proptest::proptest! {
    #![proptest_config(Config { max_shrink_iters: 5000, ..cases(8_000) })]

    #[test]
    fn the_pool_does_what_its_model_does(input in vec(any::<u8>(), 12..700)) {
        World::run(&input);
    }
}

#[test]
fn random_histories_reach_everything() {
    let mut random = 1_u64;
    let mut byte = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        random.to_be_bytes()[0]
    };
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let input: Vec<u8> = (0..500).map(|_| byte()).collect();
        seen.extend(World::run(&input));
    }
    let missing: Vec<_> = EVERYTHING
        .iter()
        .filter(|each| !seen.contains(*each))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(seen.len(), EVERYTHING.len());
}

const EVERYTHING: &[&str] = &[
    "connect",
    "use",
    "use with caution",
    "take",
    "take a third",
    "quit",
    "drop",
    "fail at the deadline",
    "fail to connect",
    "fail at the close",
    "again, lost",
    "again, untouched",
    "nothing waits",
    "connections",
    "fewer connections",
    "a pause",
    "the rate of messages",
    "the rate of recipients",
    "the rate of connections",
    "the driver",
];
