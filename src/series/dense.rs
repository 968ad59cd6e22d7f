//! Rows of numbers written down as the bytes that they have in memory, for
//! states that rest while the process lives: one move instead of a step for
//! each number. What is read is what was written, bit by bit, on the machine
//! that wrote it.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes a row down; for `#[serde(with = "dense")]`.
///
/// # Errors
/// Those of `to`.
pub fn serialize<T: Pod, S: Serializer>(row: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytemuck::cast_slice(row))
}

/// Reads a row.
///
/// # Errors
/// Those of `from`, and where the bytes are no whole row.
pub fn deserialize<'de, T: Pod, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    from.deserialize_bytes(Row(PhantomData))
}

struct Row<T>(PhantomData<T>);

impl<T: Pod> Visitor<'_> for Row<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bytes of numbers of {} bytes each", size_of::<T>())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<T>, E> {
        if !bytes.len().is_multiple_of(size_of::<T>()) {
            return Err(E::invalid_length(bytes.len(), &self));
        }
        let mut row = vec![T::zeroed(); bytes.len() / size_of::<T>()];
        bytemuck::cast_slice_mut(&mut row).copy_from_slice(bytes);
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Rows {
        #[serde(with = "super")]
        small: Vec<u16>,
        #[serde(with = "super")]
        large: Vec<f64>,
    }

    #[test]
    fn rows_come_back_as_they_were() {
        // The second row begins at no even place.
        let rows = Rows { small: vec![1, u16::MAX, 7], large: vec![0.1, -0.0, f64::MAX] };
        let bytes = postcard::to_allocvec(&rows).unwrap();
        assert_eq!(bytes.len(), 1 + 6 + 1 + 24);
        assert_eq!(postcard::from_bytes::<Rows>(&bytes).unwrap(), rows);
        assert!(postcard::from_bytes::<Rows>(&bytes[..bytes.len() - 1]).is_err());
        let odd = postcard::to_allocvec(&(&b"abc"[..], &b""[..])).unwrap();
        assert!(postcard::from_bytes::<Rows>(&odd).is_err(), "three bytes are no row of pairs");
    }
}
