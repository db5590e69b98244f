//! A few values kept because they are asked for again, the least recently used given up first.

/// Values by key within a budget.
pub struct Recent<K, V> {
    /// The most recently used last.
    items: Vec<(K, V)>,
    budget: u64,
    cost: fn(&V) -> u64,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    /// Keeps as much as costs no more than `budget` together, and always the last two: a diff needs
    /// both of its snapshots.
    pub fn new(budget: u64, cost: fn(&V) -> u64) -> Self {
        Recent { items: Vec::new(), budget, cost }
    }

    /// Returns what is kept for this key.
    pub fn get(&mut self, key: &K) -> Option<V> {
        let place = self.items.iter().position(|(other, _)| other == key)?;
        let item = self.items.remove(place);
        let value = item.1.clone();
        self.items.push(item);
        Some(value)
    }

    /// Returns the last used of those whose key is wanted.
    pub fn newest(&self, is_wanted: impl Fn(&K) -> bool) -> Option<(&K, &V)> {
        let item = self.items.iter().rev().find(|(key, _)| is_wanted(key))?;
        Some((&item.0, &item.1))
    }

    /// Keeps a value, and gives up others for it.
    pub fn put(&mut self, key: K, value: V) {
        self.items.retain(|(other, _)| *other != key);
        self.items.push((key, value));
        let cost = |items: &[(K, V)]| items.iter().map(|(_, value)| (self.cost)(value)).sum::<u64>();
        while self.items.len() > 2 && cost(&self.items) > self.budget {
            self.items.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut recent = Recent::new(3, |_| 1);
        for key in [1, 2, 3] {
            recent.put(key, key * 10);
        }
        assert_eq!(recent.get(&1), Some(10));
        recent.put(4, 40);
        assert_eq!([1, 2, 3, 4].map(|key| recent.get(&key)), [Some(10), None, Some(30), Some(40)]);
    }

    #[test]
    fn two_are_kept_whatever_they_cost() {
        let mut recent = Recent::new(3, |&cost: &u64| cost);
        recent.put('a', 100);
        recent.put('b', 100);
        assert_eq!((recent.get(&'a'), recent.get(&'b')), (Some(100), Some(100)));
    }
}
