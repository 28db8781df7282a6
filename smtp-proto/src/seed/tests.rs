use std::collections::HashSet;
use std::format;

use super::*;

#[test]
fn each_seed_differs_in_every_part() {
    let seeds = [hashed(), hashed(), *Seed::random().bytes()];
    let parts: HashSet<&[u8]> = seeds.iter().flat_map(|seed| seed.chunks(8)).collect();
    assert_eq!(parts.len(), 12);
    assert_eq!(format!("{:?}", Seed::random()), "Seed(..)");
}

#[cfg(unix)]
#[test]
fn unix_has_a_random_device() {
    assert_ne!(device(), device());
    assert!(device().is_some());
}
