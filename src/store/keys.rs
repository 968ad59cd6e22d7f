//! The order of all keys of all tables: a table's name, a zero byte, the key.

use std::ops::Bound;

use crate::ports::{Order, Table};

/// The place of a key among all keys.
pub(super) fn encode(table: Table, key: &str) -> Vec<u8> {
    let name = table.name();
    let mut place = Vec::with_capacity(name.len() + 1 + key.len());
    place.extend_from_slice(name.as_bytes());
    place.push(0);
    place.extend_from_slice(key.as_bytes());
    place
}

/// The table and the key of a place; `None` if it belongs to no table.
pub(super) fn decode(place: &[u8]) -> Option<(Table, &str)> {
    let zero = place.iter().position(|byte| *byte == 0)?;
    let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == &place[..zero])?;
    Some((table, std::str::from_utf8(&place[zero + 1..]).ok()?))
}

/// A range of places.
pub(super) type Places = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The places of the keys that begin with `prefix` and lie beyond `after`;
/// `None` if there can't be any.
pub(super) fn places(table: Table, prefix: &str, after: Option<&str>, order: Order) -> Option<Places> {
    let first = encode(table, prefix);
    // The last byte is the zero behind the table's name or a byte of UTF-8, and
    // neither can overflow: this is the first place beyond the prefix.
    let mut beyond = first.clone();
    *beyond.last_mut()? += 1;
    let after = after.map(|after| encode(table, after));
    match (order, after) {
        (Order::Upwards, Some(after)) if after >= beyond => None,
        (Order::Upwards, Some(after)) if after >= first => {
            Some((Bound::Excluded(after), Bound::Excluded(beyond)))
        }
        (Order::Downwards, Some(after)) if after <= first => None,
        (Order::Downwards, Some(after)) if after < beyond => {
            Some((Bound::Included(first), Bound::Excluded(after)))
        }
        _ => Some((Bound::Included(first), Bound::Excluded(beyond))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_back_to_its_key() {
        for table in Table::ALL {
            let place = encode(table, "acme/cpu\u{10ffff}");
            assert_eq!(decode(&place), Some((table, "acme/cpu\u{10ffff}")));
        }
        assert_eq!(decode(b"\0tally"), None);
        assert_eq!(decode(b"nobody\0x"), None);
    }

    #[test]
    fn a_range_ends_with_its_prefix_and_its_table() {
        let inside = |prefix, after, order, key: &str| {
            use std::ops::RangeBounds;
            let place = encode(Table::Quotas, key);
            places(Table::Quotas, prefix, after, order).is_some_and(|range| range.contains(&place))
        };
        assert!(inside("a", None, Order::Upwards, "a\u{10ffff}z"));
        assert!(!inside("a", None, Order::Upwards, "b"));
        assert!(!inside("a", Some("ab"), Order::Upwards, "ab"));
        assert!(inside("a", Some("ab"), Order::Upwards, "abc"));
        assert!(inside("b", Some("a"), Order::Upwards, "b"));
        assert!(inside("a", Some("z"), Order::Downwards, "abc"));
        assert!(!inside("a", Some("ab"), Order::Downwards, "ab"));
        assert!(places(Table::Quotas, "a", Some("b"), Order::Upwards).is_none());
        assert!(places(Table::Quotas, "b", Some("a"), Order::Downwards).is_none());
    }
}
