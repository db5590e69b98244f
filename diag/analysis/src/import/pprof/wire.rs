//! Protocol buffers as they are on the wire. Taken apart where they lie, so that what is read costs what it is and not
//! what a file claims it to be.

use super::ImportError;

/// A message, or what else has a length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file.
    at: u64,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(Message<'a>),
}

impl<'a> Message<'a> {
    /// All of a file.
    pub(super) fn whole(bytes: &'a [u8]) -> Self {
        Message { bytes, at: 0 }
    }

    /// Its bytes as they are.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What is wrong here.
    pub(super) fn damaged(self, what: impl Into<String>) -> ImportError {
        ImportError::Damaged { at: self.at, what: what.into() }
    }

    /// Hands over each field with its number.
    pub(super) fn each(
        mut self,
        mut see: impl FnMut(u64, Value<'a>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        while !self.bytes.is_empty() {
            let start = self;
            let key = self.varint()?;
            let value = match key & 7 {
                0 => Value::Number(self.varint()?),
                1 => Value::Number(self.fixed(8)?),
                2 => {
                    let length = self.varint()?;
                    Value::Bytes(self.take(length)?)
                }
                5 => Value::Number(self.fixed(4)?),
                other => return Err(start.damaged(format!("a field has the unknown wire type {other}"))),
            };
            see(key >> 3, value)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, ImportError> {
        let start = *self;
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?.bytes[0];
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(start.damaged("a number has more than ten bytes"))
    }

    fn fixed(&mut self, bytes: u64) -> Result<u64, ImportError> {
        let little_endian = self.take(bytes)?.bytes.iter().rev();
        Ok(little_endian.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn take(&mut self, length: u64) -> Result<Self, ImportError> {
        let split = usize::try_from(length).ok().and_then(|length| self.bytes.split_at_checked(length));
        let Some((taken, rest)) = split else {
            let left = self.bytes.len();
            return Err(self.damaged(format!("cut off: {length} bytes are to follow, and {left} do")));
        };
        let taken = Message { bytes: taken, at: self.at };
        *self = Message { bytes: rest, at: self.at + length };
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    /// The number of a field that is one; 0 of another.
    pub(super) fn number(self) -> u64 {
        match self {
            Value::Number(number) => number,
            Value::Bytes(_) => 0,
        }
    }

    /// The message of a field that is one; an empty one of another.
    pub(super) fn message(self) -> Message<'a> {
        match self {
            Value::Bytes(message) => message,
            Value::Number(_) => Message { bytes: &[], at: 0 },
        }
    }

    /// Adds the numbers of a repeated field, in which they are one by one or all at once, up to `most` altogether.
    pub(super) fn add_to(
        self,
        numbers: &mut Vec<u64>,
        what: &'static str,
        most: usize,
    ) -> Result<(), ImportError> {
        let mut add = |number| {
            if numbers.len() >= most {
                return Err(ImportError::TooMany { what, most: most as u64 });
            }
            numbers.push(number);
            Ok(())
        };
        match self {
            Value::Number(number) => add(number),
            Value::Bytes(mut packed) => {
                while !packed.bytes.is_empty() {
                    add(packed.varint()?)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Result<Vec<(u64, u64)>, String> {
        let mut found = Vec::new();
        let read = Message::whole(bytes).each(|tag, value| {
            found.push((tag, value.number()));
            Ok(())
        });
        read.map(|()| found).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_of_every_kind_are_read() {
        let bytes = [0x08, 0x96, 0x01, 0x15, 1, 0, 0, 0, 0x19, 2, 0, 0, 0, 0, 0, 0, 0, 0x22, 2, 7, 8];
        assert_eq!(numbers(&bytes), Ok(vec![(1, 150), (2, 1), (3, 2), (4, 0)]));
        let mut all = Vec::new();
        let packed = Value::Bytes(Message::whole(&[7, 0x80, 1]));
        assert_eq!(packed.add_to(&mut all, "values", 2), Ok(()));
        assert_eq!(all, [7, 128]);
        let error = ImportError::TooMany { what: "values", most: 2 };
        assert_eq!(Value::Number(9).add_to(&mut all, "values", 2), Err(error));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |bytes: &[u8], what: &str| {
            let error = numbers(bytes).expect_err("it is wrong");
            assert!(error.contains(what), "{error}");
        };
        wrong(&[8, 1, 0x0b], "byte 2 of what is unpacked: a field has the unknown wire type 3");
        wrong(&[8], "byte 1 of what is unpacked: cut off");
        wrong(&[8, 1, 0x12, 9, 1], "byte 4 of what is unpacked: cut off: 9 bytes are to follow, and 1 do");
        wrong(&[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "byte 1 of");
    }
}
