//! Many names in one sentence.

/// The first `most` of some names, and how many more there are: "a, b and 3 more".
pub fn first_of(names: &[impl AsRef<str>], most: usize) -> String {
    let (named, more) = names.split_at(names.len().min(most));
    let named = named.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    if more.is_empty() { named } else { format!("{named} and {} more", more.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        assert_eq!(first_of(&["a", "b"], 2), "a, b");
        assert_eq!(first_of(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(first_of(&[] as &[&str], 2), "");
    }
}
