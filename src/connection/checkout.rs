//! A value that its owner gives away for a while.

use std::ops::{Deref, DerefMut};

/// A value that can be taken and put back. Using it in between is a defect, and panics.
#[derive(Debug)]
pub(super) struct Checkout<T>(Option<T>);

const TAKEN: &str = "a value is not used while it is taken";

impl<T> Checkout<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(super) fn take(&mut self) -> T {
        self.0.take().expect(TAKEN)
    }

    pub(super) fn put_back(&mut self, value: T) {
        self.0 = Some(value);
    }
}

impl<T> Deref for Checkout<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(TAKEN)
    }
}

impl<T> DerefMut for Checkout<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(TAKEN)
    }
}
