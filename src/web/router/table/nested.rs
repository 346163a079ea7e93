//! The layers and fallbacks of nested routers. Their routes belong to the outermost router.

use std::borrow::Cow;
use std::sync::Arc;

use crate::message::MatchedPath;
use crate::web::layer::Layers;
use crate::web::router::endpoint::Endpoint;
use crate::web::router::pattern::Pattern;
use crate::web::router::route::Route;

/// A router that is nested in the outermost one, directly or in another nested router.
pub(crate) struct Nested<S> {
    pub(crate) path: Pattern,
    /// The path of all requests beneath it, for its fallback and for observers.
    pub(crate) all_beneath: MatchedPath,
    /// The layers of this router and of all routers around it.
    pub(crate) layers: Layers,
    pub(crate) fallback: Option<Endpoint<S>>,
    /// The index of the router in which it is nested. `None` for the outermost router.
    pub(crate) parent: Option<usize>,
}

impl<S> Nested<S> {
    pub(crate) fn new(
        path: Pattern,
        layers: Layers,
        fallback: Option<Endpoint<S>>,
        parent: Option<usize>,
    ) -> Self {
        Self {
            all_beneath: MatchedPath::new(&format!("{}/{{*rest}}", path.as_str())),
            path,
            layers,
            fallback,
            parent,
        }
    }
}

/// All nested routers, at any depth.
pub(crate) struct AllNested<S>(Vec<Nested<S>>);

impl<S> AllNested<S> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a nested router and returns its index.
    #[track_caller]
    pub(crate) fn add(&mut self, nested: Nested<S>) -> usize {
        if let Some(fallback) = &nested.fallback {
            if let Some(reason) = fallback.too_many_parameters(&nested.path) {
                panic!("the fallback in {} {reason}", nested.path.as_str());
            }
            let mut fallbacks = self.0.iter().filter(|other| other.fallback.is_some());
            let known = fallbacks.find(|other| other.path.is_same(&nested.path));
            if let Some(known) = known {
                let (path, known) = (nested.path.as_str(), known.path.as_str());
                panic!("{path} can't have a nested fallback: {known} already has one");
            }
        }
        self.0.push(nested);
        self.0.len() - 1
    }

    /// Adds the nested routers of another router, which is itself nested at `parent`, behind its
    /// layers. Returns the offset of their indices.
    #[track_caller]
    pub(crate) fn append(
        &mut self,
        others: Self,
        under: &str,
        layers: &Layers,
        parent: Option<usize>,
    ) -> usize {
        let offset = self.0.len();
        for other in others.0 {
            self.add(Nested::new(
                Pattern::parse(&format!("{under}{}", other.path.as_str())),
                layers.before(&other.layers),
                other.fallback,
                other.parent.map_or(parent, |index| Some(index + offset)),
            ));
        }
        offset
    }

    /// The index of the nested router whose fallback responds if no function does.
    pub(crate) fn fallback_for(&self, path: &str) -> Option<usize> {
        let all = self.0.iter().enumerate();
        let candidates = all.filter(|(_, nested)| {
            // This check is cheaper.
            nested.fallback.is_some() && nested.path.covers(path)
        });
        let best = candidates.max_by(|(_, one), (_, two)| one.path.specificity(&two.path));
        best.map(|(index, _)| index)
    }

    /// Whether a function of the route belongs to this nested router or to one nested in it.
    pub(crate) fn owns_function_of(&self, index: usize, route: &Route<S>) -> bool {
        route.owners().any(|owner| {
            let mut next = owner;
            while let Some(found) = next {
                if found == index {
                    return true;
                }
                next = self.0[found].parent;
            }
            false
        })
    }

    /// The nested routers that have a fallback.
    pub(crate) fn fallbacks(&self) -> impl Iterator<Item = (&Nested<S>, &Endpoint<S>)> {
        self.0
            .iter()
            .filter_map(|nested| Some((nested, nested.fallback.as_ref()?)))
    }

    /// Whether a nested fallback takes precedence over a route that matches this path, because its
    /// path is more specific.
    pub(crate) fn has_more_specific_fallback(&self, path: &str, route: &Route<S>) -> bool {
        let mut nested = self.more_specific(path, route);
        nested.any(|nested| nested.fallback.is_some())
    }

    /// The layers through which a request of this path reaches the route: those of the route, and
    /// those of nested routers whose paths are more specific.
    pub(crate) fn layers_of_route<'n>(
        &'n self,
        path: &str,
        route: &'n Route<S>,
    ) -> Cow<'n, Layers> {
        append_layers(&route.layers, self.more_specific(path, route).collect())
    }

    /// The layers for a request of this path that no function responds to: those of the router
    /// whose fallback responds, and those of more specific nested routers without a fallback.
    pub(crate) fn layers_of_fallback(
        &self,
        path: &str,
        fallback: Option<usize>,
    ) -> Cow<'_, Layers> {
        let fallback = fallback.map(|index| &self.0[index]);
        let is_within =
            |nested: &Nested<S>, outer: &Nested<S>| nested.path.specificity(&outer.path).is_gt();
        let within = self.0.iter().filter(|nested| {
            nested.fallback.is_none()
                && nested.path.covers(path)
                && fallback.is_none_or(|outer| is_within(nested, outer))
        });
        match fallback {
            Some(outer) => append_layers(&outer.layers, within.collect()),
            None => append_layers(Layers::NONE, within.collect()),
        }
    }

    fn more_specific<'n>(
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
    /// Gives all fallbacks their state.
    pub(crate) fn bind<T: 'static>(self, state: &Arc<S>) -> AllNested<T> {
        let all = self.0.into_iter().map(|nested| Nested {
            path: nested.path,
            all_beneath: nested.all_beneath,
            layers: nested.layers,
            fallback: nested.fallback.map(|fallback| fallback.bind(state)),
            parent: nested.parent,
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

/// Appends the layers of these routers, the outermost first. Routers nested at the same path keep
/// the order in which they were added.
fn append_layers<'n, S>(first: &'n Layers, mut routers: Vec<&Nested<S>>) -> Cow<'n, Layers> {
    if routers.is_empty() {
        return Cow::Borrowed(first);
    }
    routers.sort_by(|one, two| one.path.specificity(&two.path));
    let all = routers.iter().fold(first.clone(), |layers, nested| {
        layers.and_missing(&nested.layers)
    });
    Cow::Owned(all)
}
