//! A bounded map that forgets what was not used for a while.
//!
//! Two generations: what is used moves into the young one; when that is full, it becomes the old one and the former old
//! one is forgotten. Nearly as good as least-recently-used, without a list to keep.

use std::hash::Hash;

use rustc_hash::FxHashMap;

pub(crate) struct Cache<K, V> {
    young: FxHashMap<K, V>,
    old: FxHashMap<K, V>,
    weight: usize,
    limit: usize,
}

impl<K: Eq + Hash + Copy, V> Cache<K, V> {
    /// Holds about `limit` in weight, in two halves.
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: FxHashMap::default(), old: FxHashMap::default(), weight: 0, limit: limit.div_ceil(2) }
    }

    /// The value, which is young again from now on; `weight` is asked of a value that moves.
    pub(crate) fn get_mut(&mut self, key: &K, weight: impl FnOnce(&V) -> usize) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            let weight = weight(&value);
            self.insert(*key, value, weight);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight > self.limit && !self.young.is_empty() {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// A value in it has become heavier.
    pub(crate) fn grew(&mut self, weight: usize) {
        self.weight += weight;
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limit * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::new(100);
        for key in 0..1000u32 {
            cache.insert(key, key, 1);
            assert!(cache.get_mut(&0, |_| 1).is_some(), "{key}");
        }
        assert!(cache.young.len() + cache.old.len() <= 101);
        assert!(cache.get_mut(&1, |_| 1).is_none());
        assert!(cache.get_mut(&999, |_| 1).is_some());
        cache.remove(&999);
        assert!(cache.get_mut(&999, |_| 1).is_none());
    }
}
