//! Something that its owner gives away for a while.

use std::ops::{Deref, DerefMut};

/// What a connection has, but for the time in which it is lent.
#[derive(Debug)]
pub(super) struct Checkout<T>(Option<T>);

/// What the owner would have to break for a panic here.
const IS_HERE: &str = "nothing is used while it is lent";

impl<T> Checkout<T> {
    pub(super) fn new(thing: T) -> Self {
        Self(Some(thing))
    }

    pub(super) fn lend(&mut self) -> T {
        self.0.take().expect(IS_HERE)
    }

    pub(super) fn take_back(&mut self, thing: T) {
        self.0 = Some(thing);
    }
}

impl<T> Deref for Checkout<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(IS_HERE)
    }
}

impl<T> DerefMut for Checkout<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(IS_HERE)
    }
}
