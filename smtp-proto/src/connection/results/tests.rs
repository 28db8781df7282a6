//! Results that are taken in any order.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::error::{ApiMisuse, Error};
use crate::stage::Stage;

fn result(number: u64) -> Completed {
    let error = Error::misuse(Stage::Command, ApiMisuse::UnknownId);
    Completed::Command(CommandId(number), Err(error))
}

/// Whether it can be found whatever was taken before, and no number stays for long.
#[track_caller]
fn check(results: &Results, left: &[u64]) {
    let found: Vec<u64> = (results.items.iter())
        .filter_map(|(_, result)| result.as_ref().map(Completed::number))
        .collect();
    assert_eq!(found, left);
    assert_eq!(results.items.len() - left.len(), results.taken);
    assert!(results.items.len() <= 2 * left.len());
}

proptest! {
    #[test]
    fn any_order_of_taking_finds_each_result_once(
        order in Just((0..40).collect::<Vec<u64>>()).prop_shuffle(),
        late in 0..40_u64,
        pops in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut results = Results::default();
        let mut left: Vec<u64> = (0..40).collect();
        left.iter().filter(|number| **number != late).for_each(|number| results.push(result(*number)));
        // A message that began again.
        results.push(result(late));
        for (number, pop) in order.into_iter().zip(pops) {
            check(&results, &left);
            if pop && !left.is_empty() {
                let popped = results.pop().map(|result| result.number());
                prop_assert_eq!(popped, Some(left.remove(0)));
            }
            let there = left.contains(&number);
            prop_assert_eq!(results.take_command(CommandId(number)).is_some(), there);
            prop_assert!(results.take_mail(MailId(number)).is_none());
            left.retain(|each| *each != number);
        }
        check(&results, &left);
    }
}
