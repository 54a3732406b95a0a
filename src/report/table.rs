//! Plain tables for people: no borders, columns two spaces apart.

use comfy_table::{CellAlignment, Table as Inner, presets};

/// A table being filled.
pub struct Table {
    inner: Inner,
    right: Vec<usize>,
}

impl Table {
    /// A table with these headings; those that begin with `>` stand on the right.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let mut inner = Inner::new();
        inner.load_style(presets::NOTHING);
        let right = (0..headings.len())
            .filter(|&at| headings[at].starts_with('>'))
            .collect();
        inner.set_header(headings.iter().map(|name| name.trim_start_matches('>')));
        Self { inner, right }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.inner
            .add_row(cells.into_iter().map(Into::<String>::into));
    }

    /// The text, lines without trailing spaces.
    #[must_use]
    pub fn render(mut self) -> String {
        for column in self.inner.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for &at in &self.right {
            if let Some(column) = self.inner.column_mut(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let text = self.inner.to_string();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}
