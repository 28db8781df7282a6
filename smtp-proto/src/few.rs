//! A list that needs no memory of its own for one item.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

/// A list. Most messages have one recipient, for which it allocates nothing.
#[derive(Clone, Debug)]
pub(crate) enum Few<T> {
    One([T; 1]),
    Many(Vec<T>),
}

impl<T> Few<T> {
    pub(crate) const fn new() -> Self {
        Self::Many(Vec::new())
    }

    /// Appends an item.
    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        match self {
            Self::Many(items) if items.capacity() == 0 => *self = Self::One([item]),
            Self::Many(items) => items.push(item),
            Self::One(_) => {
                let mut items = core::mem::take(self).into_vec(|item| item);
                items.push(item);
                *self = Self::Many(items);
            }
        }
    }

    /// Reserves room for further items.
    pub(crate) fn reserve(&mut self, more: usize) {
        match self {
            Self::Many(items) if more > 1 => items.reserve_exact(more),
            _ => {}
        }
    }

    /// The items, each converted.
    pub(crate) fn into_vec<U>(self, mut convert: impl FnMut(T) -> U) -> Vec<U> {
        match self {
            Self::One([item]) => vec![convert(item)],
            Self::Many(items) => items.into_iter().map(convert).collect(),
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::One(item) => item,
            Self::Many(items) => items,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        if items.size_hint() == (1, Some(1))
            && let Some(item) = items.next()
        {
            return Self::One([item]);
        }
        Self::Many(items.collect())
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_in_the_order_in_which_they_were_appended() {
        for len in 0..4 {
            let items: Vec<_> = (0..len).collect();
            let few: Few<_> = items.iter().copied().collect();
            assert_eq!(matches!(few, Few::One(_)), len == 1);
            assert_eq!(*few, *items);
            let mut appended = Few::new();
            items.iter().for_each(|item| appended.push(*item));
            assert_eq!(few, appended);
            assert_eq!(appended.into_vec(|item| item), items);
        }
    }
}
