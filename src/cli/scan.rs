//! SQL text character by character: what of it is code, what is quoted, and what is a comment.
//!
//! Text may come in pieces that end with a line, so that scripts are taken apart as they are read.

/// What a character is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Code,
    /// A text or name in quotes, with them.
    Quoted,
    /// A comment to the end of its line, without this end.
    LineComment,
    Comment,
}

/// What is open.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    Quote {
        quote: char,
        /// Whether a backslash takes a quote its meaning.
        has_escapes: bool,
    },
    /// A text between two `$tag$`, and what stands behind the newest `$`, if only that of a tag.
    Dollars {
        tag: String,
        ending: Option<String>,
    },
    LineComment,
    /// How deep it is nested.
    Comment(usize),
}

/// Where in SQL text a reader is.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    inside: Option<Inside>,
    /// The word that is being read; a quote right behind `E` has escapes.
    word: String,
    /// The tag of `$tag$` that is being read.
    tag: Option<String>,
}

impl Scanner {
    /// Whether a quote or a comment of several lines is open.
    pub fn is_inside(&self) -> bool {
        !matches!(self.inside, None | Some(Inside::LineComment))
    }

    /// Reads on, and tells of each character where in this text it stands and what it is part of.
    pub fn scan(&mut self, text: &str, mut tell: impl FnMut(usize, char, Part)) {
        let mut characters = text.char_indices().peekable();
        while let Some((position, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            let (part, is_pair) = self.step(character, next);
            tell(position, character, part);
            if is_pair && let Some((position, character)) = characters.next() {
                tell(position, character, part);
            }
        }
    }

    /// Takes a character; whether the next one belongs to it.
    fn step(&mut self, character: char, next: Option<char>) -> (Part, bool) {
        match self.inside.take() {
            None => self.step_in_code(character, next),
            Some(Inside::LineComment) if character == '\n' => (Part::Code, false),
            Some(Inside::LineComment) => self.stay(Inside::LineComment, Part::LineComment, false),
            Some(Inside::Comment(depth)) => match (character, next) {
                ('/', Some('*')) => self.stay(Inside::Comment(depth + 1), Part::Comment, true),
                ('*', Some('/')) if depth > 1 => {
                    self.stay(Inside::Comment(depth - 1), Part::Comment, true)
                }
                ('*', Some('/')) => (Part::Comment, true),
                _ => self.stay(Inside::Comment(depth), Part::Comment, false),
            },
            Some(Inside::Quote { quote, has_escapes }) => {
                // Two quotes stand for one, and a backslash for what follows it.
                let is_pair = (character == quote && next == Some(quote))
                    || (character == '\\' && has_escapes && next.is_some());
                match character == quote && !is_pair {
                    true => (Part::Quoted, false),
                    false => self.stay(Inside::Quote { quote, has_escapes }, Part::Quoted, is_pair),
                }
            }
            Some(Inside::Dollars { tag, ending }) => {
                let ending = match (character, ending) {
                    ('$', Some(ending)) if ending == tag => return (Part::Quoted, false),
                    ('$', _) => Some(String::new()),
                    (_, Some(mut ending)) if ending.len() < tag.len() => {
                        ending.push(character);
                        Some(ending)
                    }
                    _ => None,
                };
                self.stay(Inside::Dollars { tag, ending }, Part::Quoted, false)
            }
        }
    }

    fn stay(&mut self, inside: Inside, part: Part, is_pair: bool) -> (Part, bool) {
        self.inside = Some(inside);
        (part, is_pair)
    }

    fn step_in_code(&mut self, character: char, next: Option<char>) -> (Part, bool) {
        let is_of_word = character.is_alphanumeric() || character == '_';
        let word = match is_of_word {
            true => {
                self.word.push(character);
                String::new()
            }
            false => std::mem::take(&mut self.word),
        };
        let tag = self.tag.take();
        match (character, next) {
            ('-', Some('-')) => self.stay(Inside::LineComment, Part::LineComment, true),
            ('/', Some('*')) => self.stay(Inside::Comment(1), Part::Comment, true),
            ('\'' | '"', _) => {
                let has_escapes = character == '\'' && word.eq_ignore_ascii_case("e");
                let quote = character;
                self.stay(Inside::Quote { quote, has_escapes }, Part::Quoted, false)
            }
            ('$', _) => match tag {
                Some(tag) => {
                    let ending = None;
                    self.stay(Inside::Dollars { tag, ending }, Part::Quoted, false)
                }
                None => {
                    // In the middle of a name a dollar is a part of it.
                    self.tag = word.is_empty().then(String::new);
                    (Part::Code, false)
                }
            },
            _ => {
                // A tag is a name: what begins with a digit is a parameter.
                self.tag =
                    tag.filter(|tag| is_of_word && !(tag.is_empty() && character.is_ascii_digit()));
                if let Some(tag) = &mut self.tag {
                    tag.push(character);
                }
                (Part::Code, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of a text, which comes line by line.
    fn code(text: &str) -> String {
        let mut scanner = Scanner::default();
        let mut code = String::new();
        for line in text.split_inclusive('\n') {
            scanner.scan(line, |_, character, part| {
                code.extend((part == Part::Code).then_some(character));
            });
        }
        code
    }

    #[test]
    fn quotes_and_comments_are_no_code() {
        for (text, expected) in [
            ("a;'b;'\"c;\";", "a;;"),
            ("'it''s;' d", " d"),
            ("E'it\\'s;' d", "E d"),
            ("'a\\' d", " d"),
            ("name'\\' d", "name d"),
            ("-- ;\na", "\na"),
            ("/* ; /* ; */\n ; */a", "a"),
            ("/*/ ; */a", "a"),
            ("$$;\n;$$a", "$a"),
            ("$x$ $y$ ;$x $x$a", "$xa"),
            ("$1;$2;", "$1;$2;"),
            ("a$b$c;", "a$b$c;"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
