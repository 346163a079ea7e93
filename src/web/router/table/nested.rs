//! The routers that are nested in a router, as far as their routes do not say it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::web::layer::Layers;
use crate::web::router::pattern::Pattern;
use crate::web::router::route::{Endpoint, Route};

/// A router that is nested, or one that is nested in it.
pub(crate) struct Nested<S> {
    pub(crate) path: Pattern,
    /// Those of all routers that it has come with.
    pub(crate) layers: Layers,
    pub(crate) fallback: Option<Endpoint<S>>,
    /// The index of the router that it is nested in, `None` for the outermost one.
    pub(crate) around: Option<usize>,
}

/// All of them, at any depth.
pub(crate) struct AllNested<S>(Vec<Nested<S>>);

impl<S> AllNested<S> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one, and returns its index.
    #[track_caller]
    pub(crate) fn add(&mut self, nested: Nested<S>) -> usize {
        if let Some(fallback) = &nested.fallback {
            if let Some(why) = fallback.has_too_many_names(&nested.path) {
                panic!("the fallback in {} {why}", nested.path.as_str());
            }
            let mut fallbacks = self.0.iter().filter(|other| other.fallback.is_some());
            let known = fallbacks.find(|other| other.path.is_same(&nested.path));
            if let Some(known) = known {
                let (path, known) = (nested.path.as_str(), known.path.as_str());
                panic!("{path} can't have a nested fallback: {known} has one already");
            }
        }
        self.0.push(nested);
        self.0.len() - 1
    }

    /// Adds those of another router, which is nested in `around`, behind its layers. Returns how
    /// much their indices have grown.
    #[track_caller]
    pub(crate) fn adopt(
        &mut self,
        others: Self,
        under: &str,
        layers: &Layers,
        around: Option<usize>,
    ) -> usize {
        let offset = self.0.len();
        for other in others.0 {
            self.add(Nested {
                path: Pattern::parse(format!("{under}{}", other.path.as_str())),
                layers: layers.before(&other.layers),
                fallback: other.fallback,
                around: other.around.map_or(around, |index| Some(index + offset)),
            });
        }
        offset
    }

    /// The index of the one whose fallback answers what no function does.
    pub(crate) fn fallback_for(&self, path: &str) -> Option<usize> {
        let all = self.0.iter().enumerate();
        let candidates = all.filter(|(_, nested)| {
            // This is the cheaper question.
            nested.fallback.is_some() && nested.path.covers(path)
        });
        let best = candidates.max_by(|(_, one), (_, two)| one.path.specificity(&two.path));
        best.map(|(index, _)| index)
    }

    /// Whether one of the route's functions is of this router or of one that is nested in it.
    pub(crate) fn is_home_of(&self, index: usize, route: &Route<S>) -> bool {
        route.homes().any(|home| {
            let mut at = home;
            while let Some(found) = at {
                if found == index {
                    return true;
                }
                at = self.0[found].around;
            }
            false
        })
    }

    /// Those that have a fallback, and their paths.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = (&Pattern, &Endpoint<S>)> {
        self.0
            .iter()
            .filter_map(|nested| Some((&nested.path, nested.fallback.as_ref()?)))
    }

    /// Whether a fallback answers this path although a route matches it, for it is nested more
    /// specifically.
    pub(crate) fn has_fallback_before(&self, path: &str, route: &Route<S>) -> bool {
        let mut before = self.before(path, route);
        before.any(|nested| nested.fallback.is_some())
    }

    /// The layers that a request of this path passes to a function of the route: those of routers
    /// that are nested more specifically see it, too.
    pub(crate) fn layers_before<'n>(&'n self, path: &str, route: &'n Route<S>) -> Cow<'n, Layers> {
        behind(&route.layers, self.before(path, route).collect())
    }

    /// The layers that a request of this path passes if no function answers it: those of the router
    /// whose fallback does, and of routers without a fallback that are nested more specifically.
    pub(crate) fn layers_for(&self, path: &str, fallback: Option<usize>) -> Cow<'_, Layers> {
        let fallback = fallback.map(|index| &self.0[index]);
        let is_within =
            |nested: &Nested<S>, around: &Nested<S>| nested.path.specificity(&around.path).is_gt();
        let within = self.0.iter().filter(|nested| {
            nested.fallback.is_none()
                && nested.path.covers(path)
                && fallback.is_none_or(|around| is_within(nested, around))
        });
        match fallback {
            Some(around) => behind(&around.layers, within.collect()),
            None => behind(Layers::NONE, within.collect()),
        }
    }

    fn before<'n>(
        &'n self,
        path: &'n str,
        route: &'n Route<S>,
    ) -> impl Iterator<Item = &'n Nested<S>> {
        self.0.iter().filter(move |nested| {
            nested.path.is_more_specific_than(&route.path) && nested.path.covers(path)
        })
    }
}

impl<S: Send + Sync + 'static> AllNested<S> {
    /// The same for a router that has given its functions this state.
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> AllNested<T> {
        let all = self.0.into_iter().map(|nested| Nested {
            path: nested.path,
            layers: nested.layers,
            fallback: nested.fallback.map(|fallback| fallback.bind(state)),
            around: nested.around,
        });
        AllNested(all.collect())
    }
}

impl<S> std::ops::Index<usize> for AllNested<S> {
    type Output = Nested<S>;

    fn index(&self, index: usize) -> &Nested<S> {
        &self.0[index]
    }
}

/// These layers, and behind them those of routers, the outermost first. Routers that are nested at
/// one path stay in the order in which they are written, as layers do.
fn behind<'n, S>(first: &'n Layers, mut routers: Vec<&Nested<S>>) -> Cow<'n, Layers> {
    if routers.is_empty() {
        return Cow::Borrowed(first);
    }
    routers.sort_by(|one, two| one.path.specificity(&two.path));
    let all = routers.iter().fold(first.clone(), |layers, nested| {
        layers.and_missing(&nested.layers)
    });
    Cow::Owned(all)
}
