//! The Merkle tree of RFC 9162, section 2.1, over SHA-256: one hash that stands
//! for all entries of a log. Only the roots of its full subtrees are held, so
//! that a log of any length needs at most 64 hashes to go on.

use serde::{Deserialize, Serialize};

use super::digest::{Digest, from_hex, hex, sha256};

/// The tree over the entries that were pushed so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The roots of full subtrees, the largest first: one for each bit of the
    /// size that is set.
    peaks: Vec<Digest>,
}

impl Tree {
    /// How many entries it stands for.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next entry of the log.
    pub fn push(&mut self, entry: &[u8]) {
        let mut root = sha256([&[0][..], entry]);
        let mut full = self.size;
        while full % 2 == 1
            && let Some(left) = self.peaks.pop()
        {
            root = node(&left, &root);
            full /= 2;
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// The hash that stands for all entries; that of nothing for an empty tree.
    pub fn root(&self) -> Digest {
        let from_the_right = self.peaks.iter().rev().copied();
        from_the_right.reduce(|right, left| node(&left, &right)).unwrap_or_else(|| sha256([]))
    }
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256([&[1][..], left, right])
}

/// A tree as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenTree {
    /// How many entries it stands for.
    pub size: u64,
    /// The roots of its full subtrees, the largest first, as hexadecimal digits.
    pub peaks: Vec<String>,
}

impl From<&Tree> for WrittenTree {
    fn from(tree: &Tree) -> Self {
        WrittenTree { size: tree.size, peaks: tree.peaks.iter().map(|peak| hex(peak)).collect() }
    }
}

impl WrittenTree {
    /// The tree; `None` where what is written is none.
    pub fn read(&self) -> Option<Tree> {
        let peaks: Vec<Digest> = self.peaks.iter().map(|peak| from_hex(peak)).collect::<Option<_>>()?;
        (peaks.len() == self.size.count_ones() as usize).then_some(Tree { size: self.size, peaks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 9162 itself.
    fn defined(entries: &[Vec<u8>]) -> Digest {
        match entries {
            [] => sha256([]),
            [one] => sha256([&[0][..], one]),
            more => {
                let split = more.len().next_power_of_two() / 2;
                node(&defined(&more[..split]), &defined(&more[split..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition_at_every_size() {
        let entries: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_string().into_bytes()).collect();
        let mut tree = Tree::default();
        for size in 0..=entries.len() {
            assert_eq!((tree.size(), tree.root()), (size as u64, defined(&entries[..size])));
            let written = WrittenTree::from(&tree);
            assert_eq!(written.read().as_ref(), Some(&tree));
            if let Some(entry) = entries.get(size) {
                tree.push(entry);
            }
        }
        assert!(WrittenTree { size: 3, peaks: vec!["00".repeat(32)] }.read().is_none());
    }

    /// Test vectors of Certificate Transparency's reference implementation.
    #[test]
    fn roots_are_those_of_the_reference_implementation() {
        let entries = ["", "00", "10", "2021", "3031", "40414243"];
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let mut tree = Tree::default();
        let mut roots = Vec::new();
        for entry in entries {
            tree.push(&bytes(entry));
            roots.push(hex(&tree.root()));
        }
        assert_eq!(roots[0], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(roots[1], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        assert_eq!(roots[5], "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
    }
}
