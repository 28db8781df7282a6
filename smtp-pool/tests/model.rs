//! Random histories of a pool beside a model of it.

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
