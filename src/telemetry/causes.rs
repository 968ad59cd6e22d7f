//! An error in one line.

use std::error::Error;

/// An error with its causes; what repeats another's text is left out.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn causes_follow_and_none_is_said_twice() {
        let link = |text, source: Option<Link>| Link(text, source.map(Box::new));
        let error = link("reach it: refused", Some(link("refused", Some(link("os error 111", None)))));
        assert_eq!(causes(&error), "reach it: refused: os error 111");
    }
}
