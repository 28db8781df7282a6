//! How much of a product of cases a test goes through.

use proptest::test_runner::Config;

/// Whether every case is to be tried. `EXHAUSTIVE=1` asks for it, as the gate does; without it, a
/// test tries every place with one of its faults, and a property fewer cases.
pub(crate) fn is_exhaustive() -> bool {
    std::env::var_os("EXHAUSTIVE").is_some()
}

/// All of `items`, or without `EXHAUSTIVE` one of them: the next one for the next `turn`.
pub(crate) fn in_turn<T>(items: &[T], turn: usize) -> &[T] {
    if is_exhaustive() {
        return items;
    }
    std::slice::from_ref(one_in_turn(items, turn))
}

/// One of `items`: the next one for the next `turn`.
pub(crate) fn one_in_turn<T>(items: &[T], turn: usize) -> &T {
    &items[turn % items.len()]
}

/// The settings of a property with this many cases, or a quarter of them without `EXHAUSTIVE`.
pub(crate) fn cases(count: u32) -> Config {
    Config::with_cases(if is_exhaustive() { count } else { count / 4 })
}
