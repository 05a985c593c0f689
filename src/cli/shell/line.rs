//! A line that is being edited.

/// Text with a cursor in it.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    /// In bytes, at the beginning of a character or at the end.
    cursor: usize,
}

impl Line {
    /// A text with the cursor behind it.
    pub(super) fn new(text: &str) -> Line {
        Line {
            text: text.to_owned(),
            cursor: text.len(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    pub(super) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Replaces what stands between a place before the cursor and the cursor.
    pub(super) fn replace_from(&mut self, start: usize, text: &str) {
        self.text.replace_range(start..self.cursor, text);
        self.cursor = start + text.len();
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.previous();
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.next();
    }

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Deletes the character before the cursor.
    pub(super) fn backspace(&mut self) {
        self.replace_from(self.previous(), "");
    }

    /// Deletes the character at the cursor.
    pub(super) fn delete(&mut self) {
        let end = self.next();
        self.text.replace_range(self.cursor..end, "");
    }

    /// Deletes from the beginning to the cursor.
    pub(super) fn delete_to_start(&mut self) {
        self.replace_from(0, "");
    }

    /// Deletes from the cursor to the end.
    pub(super) fn delete_to_end(&mut self) {
        self.text.truncate(self.cursor);
    }

    /// Deletes the word before the cursor, with the space behind it.
    pub(super) fn delete_word(&mut self) {
        let before = self.before_cursor().trim_end();
        let start = before.rfind(char::is_whitespace);
        let start = start.map_or(0, |space| {
            let width = before[space..].chars().next().map_or(1, char::len_utf8);
            space + width
        });
        self.replace_from(start, "");
    }

    fn previous(&self) -> usize {
        let last = self.before_cursor().chars().next_back();
        self.cursor - last.map_or(0, char::len_utf8)
    }

    fn next(&self) -> usize {
        let next = self.text[self.cursor..].chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_by_characters() {
        let mut line = Line::new("sölect");
        line.home();
        line.right();
        line.delete();
        line.insert("e");
        assert_eq!((line.text(), line.before_cursor()), ("select", "se"));
        line.end();
        line.right();
        line.insert(" 1€");
        line.backspace();
        line.left();
        line.backspace();
        assert_eq!(line.text(), "select1");
        line.home();
        line.left();
        line.backspace();
        assert_eq!(line.text(), "select1");
    }

    #[test]
    fn words_and_ends_are_deleted_at_once() {
        let mut line = Line::new("SELECT a\u{2003}FROM orders  ");
        line.delete_word();
        assert_eq!(line.text(), "SELECT a\u{2003}FROM ");
        line.delete_word();
        assert_eq!(line.text(), "SELECT a\u{2003}");
        line.delete_word();
        line.delete_word();
        assert_eq!(line.text(), "");
        line.delete_word();
        line.insert("abc");
        line.left();
        line.delete_to_end();
        assert_eq!(line.text(), "ab");
        line.left();
        line.delete_to_start();
        assert_eq!((line.text(), line.before_cursor()), ("b", ""));
    }
}
