//! What a program has drawn on a terminal, as far as text and its places go.

/// A screen of a fixed size.
pub struct Screen {
    cells: Vec<Vec<char>>,
    at: (usize, usize),
    state: State,
    /// Bytes of a character that is not whole.
    character: Vec<u8>,
}

enum State {
    Text,
    Escape,
    /// After `ESC [`: what has come of its parameters.
    Control(String),
    /// A title, say, up to its end.
    Message,
}

impl Screen {
    /// An empty one.
    pub fn new(columns: usize, rows: usize) -> Self {
        let cells = vec![vec![' '; columns]; rows];
        Screen { cells, at: (0, 0), state: State::Text, character: Vec::new() }
    }

    /// Draws what a program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.byte(byte));
    }

    /// Its lines, without the spaces at their ends.
    pub fn text(&self) -> String {
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned();
        self.cells.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn byte(&mut self, byte: u8) {
        self.state = match (std::mem::replace(&mut self.state, State::Text), byte) {
            (State::Text, 0x1b) => State::Escape,
            (State::Text, byte) => return self.print(byte),
            (State::Escape, b'[') => State::Control(String::new()),
            (State::Escape, b']') => State::Message,
            (State::Control(parameters), 0x40..=0x7e) => return self.control(&parameters, byte),
            (State::Control(parameters), byte) => State::Control(parameters + &char::from(byte).to_string()),
            (State::Message, 0x07) | (State::Escape, _) => State::Text,
            (State::Message, 0x1b) => State::Escape,
            (State::Message, _) => State::Message,
        };
    }

    fn print(&mut self, byte: u8) {
        match byte {
            b'\r' => self.at.1 = 0,
            b'\n' => self.at.0 += 1,
            0x08 => self.at.1 = self.at.1.saturating_sub(1),
            0..0x20 => {}
            _ => {
                self.character.push(byte);
                let Ok(text) = std::str::from_utf8(&self.character) else { return };
                let character = text.chars().next();
                self.character.clear();
                let cell = self.cells.get_mut(self.at.0).and_then(|row| row.get_mut(self.at.1));
                if let (Some(cell), Some(character)) = (cell, character) {
                    *cell = character;
                }
                self.at.1 += 1;
            }
        }
    }

    fn control(&mut self, parameters: &str, end: u8) {
        let mut numbers = parameters.split(';').map(|number| number.parse::<usize>().ok());
        let first = numbers.next().flatten();
        let count = first.unwrap_or(1).max(1);
        let (row, column) = self.at;
        match end {
            b'H' | b'f' => self.at = (count - 1, numbers.next().flatten().unwrap_or(1).max(1) - 1),
            b'A' => self.at.0 = row.saturating_sub(count),
            b'B' => self.at.0 = row + count,
            b'C' => self.at.1 = column + count,
            b'D' => self.at.1 = column.saturating_sub(count),
            b'G' => self.at.1 = count - 1,
            b'd' => self.at.0 = count - 1,
            b'J' => self.clear(first.unwrap_or(0)),
            b'K' => {
                let line = self.cells.get_mut(row);
                line.into_iter().flat_map(|line| line.iter_mut().skip(column)).for_each(|cell| *cell = ' ');
            }
            // Colours, and modes of the terminal.
            _ => {}
        }
    }

    /// All, or what follows.
    fn clear(&mut self, which: usize) {
        let from = if which == 0 { self.at } else { (0, 0) };
        for (row, line) in self.cells.iter_mut().enumerate().skip(from.0) {
            let begin = if row == from.0 { from.1 } else { 0 };
            line.iter_mut().skip(begin).for_each(|cell| *cell = ' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_where_it_was_put() {
        let mut screen = Screen::new(12, 3);
        screen.feed(b"\x1b[2J\x1b[1;3Hab\x1b[31mc\x1b[0m\x1b[3;1Hlast\x1b]0;title\x07!\x1b[2;2Hx\xe2");
        screen.feed(b"\x94\x82\r\x1b[Cy");
        assert_eq!(screen.text(), "  abc\n y\u{2502}\nlast!");
        screen.feed(b"\x1b[1;4H\x1b[K\x1b[2;1H\x1b[J\x1b[99;99Hz");
        assert_eq!(screen.text(), "  a\n\n");
    }
}
