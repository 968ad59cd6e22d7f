//! How the parts of a walk are written down in few bytes while it rests. What
//! is read is what was written, bit by bit.

/// Rows of which the end is mostly 0, such as the counts of rising margins.
pub(super) mod rows {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::series::dense;

    #[derive(Serialize, Deserialize)]
    struct Filled {
        #[serde(with = "dense")]
        lengths: Vec<u8>,
        #[serde(with = "dense")]
        values: Vec<f32>,
    }

    pub fn serialize<const N: usize, S: Serializer>(rows: &[[f32; N]], to: S) -> Result<S::Ok, S::Error> {
        let filled = |row: &[f32; N]| row.iter().rposition(|value| *value != 0.0).map_or(0, |last| last + 1);
        let lengths: Vec<u8> = rows.iter().map(|row| u8::try_from(filled(row)).unwrap_or(u8::MAX)).collect();
        let mut values = Vec::with_capacity(lengths.iter().map(|length| usize::from(*length)).sum());
        for (row, length) in rows.iter().zip(&lengths) {
            values.extend_from_slice(&row[..usize::from(*length)]);
        }
        Filled { lengths, values }.serialize(to)
    }

    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<[f32; N]>, D::Error> {
        let Filled { lengths, values } = Filled::deserialize(from)?;
        let mut rest = values.as_slice();
        let mut row = |length: &u8| {
            let (part, left) = rest.split_at_checked(usize::from(*length))?;
            rest = left;
            let mut row = [0.0; N];
            row.get_mut(..part.len())?.copy_from_slice(part);
            Some(row)
        };
        let rows: Option<Vec<_>> = lengths.iter().map(&mut row).collect();
        rows.ok_or_else(|| de::Error::custom("rows that are longer than their values"))
    }
}

/// A row that begins with many 0, such as a histogram from far below what is
/// used.
pub(super) mod late {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::series::dense;

    #[derive(Serialize, Deserialize)]
    struct Late {
        empty: u16,
        #[serde(with = "dense")]
        filled: Vec<f32>,
    }

    pub fn serialize<S: Serializer>(row: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let empty = row.iter().take_while(|value| **value == 0.0).count();
        let late = Late { empty: u16::try_from(empty).unwrap_or(u16::MAX), filled: row[empty..].to_vec() };
        late.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let Late { empty, filled } = Late::deserialize(from)?;
        let mut row = vec![0.0; usize::from(empty)];
        row.extend(filled);
        Ok(row)
    }
}

/// What many walks share and each writes down for itself.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(of: &Option<Arc<T>>, to: S) -> Result<S::Ok, S::Error> {
        of.as_deref().serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<T>>, D::Error> {
        Ok(Option::<T>::deserialize(from)?.map(Arc::new))
    }
}
