//! A report laid out for reading: headings, sentences, tables and charts, before
//! it is HTML or Markdown. All texts are plain; whoever writes them escapes them.

use super::model::{Brand, UsageChart};
use crate::domain::Language;

/// A report laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its language.
    pub language: Language,
    /// How it looks.
    pub brand: Brand,
    /// Its title.
    pub title: String,
    /// The time that it reports on.
    pub period: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
    /// Who made it, and when.
    pub footer: String,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// The most important sentences.
    Lead(String, Vec<String>),
    /// The most important figures.
    Cards(Vec<Card>),
    /// A heading with a word on what follows.
    Heading(String, Option<String>),
    /// A smaller heading.
    Subheading(String),
    /// A sentence.
    Text(String),
    /// Sentences that stand in English in any language.
    English(String, Vec<String>),
    /// A table.
    Table(Table),
    /// A chart.
    Chart(Chart),
}

/// A figure that stands out.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// What it is.
    pub label: String,
    /// The figure.
    pub value: String,
    /// A word on it.
    pub note: String,
    /// Whether it asks for somebody.
    pub alarms: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Its columns: what each is called, and whether it holds figures.
    pub columns: Vec<(String, bool)>,
    /// A row's cells, as many as there are columns.
    pub rows: Vec<Vec<String>>,
    /// How many rows are left out, in words.
    pub more: Option<String>,
}

impl Table {
    /// A table of these columns.
    pub fn block(columns: &[(String, bool)], rows: Vec<Vec<String>>, more: Option<String>) -> Block {
        Block::Table(Table { columns: columns.to_vec(), rows, more })
    }
}

/// A bar with what it is called and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is called.
    pub label: String,
    /// Its lengths: one for each entry of the legend, or one.
    pub values: Vec<f64>,
    /// The same as people read them.
    pub shown: Vec<String>,
}

/// A chart; each has a title that says what it shows to those who can't see it.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Bars that lie, a row each.
    Bars {
        /// What it shows.
        title: String,
        /// What the bars of a row are, where there are several.
        legend: Vec<String>,
        /// The rows.
        rows: Vec<Bar>,
    },
    /// Bars that stand, from zero up or down, in the order of time.
    Columns {
        /// What it shows.
        title: String,
        /// The columns.
        columns: Vec<Bar>,
    },
    /// Usage, forecast and quota over time.
    Usage {
        /// What it shows.
        title: String,
        /// The figures.
        chart: UsageChart,
        /// The limit that is recommended, where one is.
        recommended: Option<f64>,
        /// What usage, forecast, quota and recommended quota are called.
        legend: [String; 4],
        /// The days below the axis, each with its step.
        days: Vec<(usize, String)>,
        /// The marks beside the axis, each with its value.
        marks: Vec<(f64, String)>,
    },
}
