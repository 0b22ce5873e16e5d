//! The check on property tables. It runs when a constant is evaluated, so that a table in the wrong
//! order does not compile: lookups search it by bisection.

use std::cmp::Ordering;

use crate::SchemaPropertyMap;

/// Compares as `<[u8]>::cmp` does, which is not `const`. Names are short: recursion will do.
const fn compare(left: &[u8], right: &[u8]) -> Ordering {
    match (left, right) {
        ([], []) => Ordering::Equal,
        ([], _) => Ordering::Less,
        (_, []) => Ordering::Greater,
        ([l, ..], [r, ..]) if *l < *r => Ordering::Less,
        ([l, ..], [r, ..]) if *l > *r => Ordering::Greater,
        ([_, left @ ..], [_, right @ ..]) => compare(left, right),
    }
}

/// Panics unless the names are in order.
pub(crate) const fn assert_sorted(mut properties: SchemaPropertyMap) {
    while let [first, tail @ ..] = properties {
        if let [second, ..] = tail {
            match compare(first.0.as_bytes(), second.0.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => panic!("duplicate object schema properties not allowed"),
                Ordering::Greater => panic!("object schema properties must be sorted"),
            }
        }
        properties = tail;
    }
}
