//! Rules by exact name: ordered for whoever goes through them, hashed for the decision, which looks up one.

use super::ToolRules;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};
use std::ops::Index;
use std::sync::Arc;

/// Names come from the policy alone, so nobody else can choose them to have one hash.
#[expect(
    clippy::disallowed_types,
    reason = "one name is looked up in it, and nothing goes through it in its own order"
)]
type Hashed<K> = std::collections::HashMap<K, Arc<ToolRules>, BuildHasherDefault<DefaultHasher>>;

/// Rules by exact name. What a lookup costs does not grow with the number of names.
#[derive(Clone)]
pub struct RulesByName<K> {
    ordered: BTreeMap<K, Arc<ToolRules>>,
    hashed: Hashed<K>,
}

impl<K: Borrow<str> + Clone + Hash + Ord> RulesByName<K> {
    /// No rules.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ordered: BTreeMap::new(),
            hashed: Hashed::default(),
        }
    }

    /// Gives a name its rules, and returns those that it had.
    pub fn insert(&mut self, name: K, rules: Arc<ToolRules>) -> Option<Arc<ToolRules>> {
        self.hashed.insert(name.clone(), Arc::clone(&rules));
        self.ordered.insert(name, rules)
    }

    /// The rules of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<ToolRules>> {
        self.hashed.get(name)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Names and their rules, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<ToolRules>)> {
        self.ordered.iter()
    }

    /// The names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.ordered.keys()
    }

    /// The rules, in the order of their names.
    pub fn values(&self) -> impl Iterator<Item = &Arc<ToolRules>> {
        self.ordered.values()
    }
}

/// In the order of names: what is shown of a program must not depend on hashes.
impl<K: fmt::Debug> fmt::Debug for RulesByName<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.ordered).finish()
    }
}

impl<K: Borrow<str> + Clone + Hash + Ord> Default for RulesByName<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Borrow<str> + Clone + Hash + Ord> FromIterator<(K, Arc<ToolRules>)> for RulesByName<K> {
    fn from_iter<I: IntoIterator<Item = (K, Arc<ToolRules>)>>(rules: I) -> Self {
        let mut all = Self::new();
        for (name, rules) in rules {
            all.insert(name, rules);
        }
        all
    }
}

/// For those who know that the name is there.
impl<K: Borrow<str> + Clone + Hash + Ord> Index<&str> for RulesByName<K> {
    type Output = Arc<ToolRules>;

    fn index(&self, name: &str) -> &Self::Output {
        self.ordered.index(name)
    }
}
