//! What the rules cover, and how it is covered.
