//! What should be there: the number of commits, and for each table how many
//! values it has and the sum of their checksums.
//!
//! It is written together with the values that it counts. sled drops, without a
//! word, pages and log tails that it finds damaged; a count or a sum that no
//! longer fits tells that, and in which table.

use std::collections::BTreeMap;

use super::entry::{Body, Checksum, decode, encode};
use crate::ports::Table;

/// Where it is kept: before the keys of all tables.
pub(super) const PLACE: &[u8] = b"\0tally";

/// What one table should hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    values: u64,
    sum: u128,
}

/// What should be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Commits since the beginning.
    pub commits: u64,
    tables: BTreeMap<Table, Count>,
}

impl Tally {
    /// The same after another number of commits.
    pub fn after(self, commits: u64) -> Self {
        Tally { commits, ..self }
    }

    /// Counts a value.
    pub fn add(&mut self, table: Table, checksum: Checksum) {
        let count = self.tables.entry(table).or_default();
        count.values = count.values.wrapping_add(1);
        count.sum = count.sum.wrapping_add(u128::from_be_bytes(checksum));
    }

    /// Counts a value no more.
    pub fn remove(&mut self, table: Table, checksum: Checksum) {
        let count = self.tables.entry(table).or_default();
        count.values = count.values.wrapping_sub(1);
        count.sum = count.sum.wrapping_sub(u128::from_be_bytes(checksum));
    }

    /// How many values are counted.
    pub fn values(&self) -> u64 {
        self.tables.values().map(|count| count.values).sum()
    }

    /// What `found` differs in, a sentence for each table.
    pub fn differences(&self, found: &Tally) -> Vec<String> {
        let of = |tally: &Tally, table| tally.tables.get(&table).copied().unwrap_or_default();
        let differs = Table::ALL.into_iter().filter(|table| of(self, *table) != of(found, *table));
        differs
            .map(|table| {
                let (should, is) = (of(self, table).values, of(found, table).values);
                let name = table.name();
                if should == is {
                    format!("values of {name} are not those that were written last")
                } else {
                    format!("{is} values of {name} were found where {should} were written")
                }
            })
            .collect()
    }

    /// As it is kept.
    pub fn to_raw(&self) -> Vec<u8> {
        let mut bytes = self.commits.to_be_bytes().to_vec();
        for (table, count) in &self.tables {
            bytes.extend_from_slice(table.name().as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&count.values.to_be_bytes());
            bytes.extend_from_slice(&count.sum.to_be_bytes());
        }
        encode(PLACE, self.commits, Body::Inline(&bytes)).0
    }

    /// From what is kept; says what is wrong if it can't be.
    pub fn from_raw(raw: &[u8]) -> Result<Self, String> {
        let Body::Inline(bytes) = decode(PLACE, raw)?.body else {
            return Err("it lies in a file".to_owned());
        };
        Tally::parse(bytes).ok_or_else(|| "it counts a table that this version does not know".to_owned())
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (commits, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut tally = Tally { commits: u64::from_be_bytes(*commits), tables: BTreeMap::new() };
        while !rest.is_empty() {
            let (name, after) = rest.split_at(rest.iter().position(|byte| *byte == 0)?);
            let (values, after) = after[1..].split_first_chunk::<8>()?;
            let (sum, after) = after.split_first_chunk::<16>()?;
            let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == name)?;
            let count = Count { values: u64::from_be_bytes(*values), sum: u128::from_be_bytes(*sum) };
            tally.tables.insert(table, count);
            rest = after;
        }
        Some(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_which_table_lost_something() {
        let mut should = Tally { commits: 3, ..Tally::default() };
        should.add(Table::Quotas, [1; 16]);
        should.add(Table::Quotas, [255; 16]);
        should.add(Table::Audit, [3; 16]);
        assert_eq!(Tally::from_raw(&should.to_raw()), Ok(should.clone()));
        let mut is = should.clone();
        assert!(should.differences(&is).is_empty());
        is.remove(Table::Quotas, [1; 16]);
        assert_eq!(should.differences(&is), ["1 values of quotas were found where 2 were written"]);
        is.add(Table::Quotas, [2; 16]);
        assert_eq!(should.differences(&is), ["values of quotas are not those that were written last"]);
        let mut raw = should.to_raw();
        raw[40] ^= 1;
        assert!(Tally::from_raw(&raw).is_err());
    }
}
