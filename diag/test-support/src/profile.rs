//! A second, naive reader of pprof's files: takes the wire format apart by hand, and refuses whatever pprof's own
//! check of a profile refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// A profile in names.
#[derive(Debug, Default)]
pub struct Profile {
    /// `inuse_space/bytes`
    pub types: Vec<String>,
    /// As these.
    pub default_type: String,
    /// Kind of value, and how much of it lies between two samples.
    pub period: (String, i64),
    /// When it was taken, since 1970.
    pub time_nanos: i64,
    /// In the file's order.
    pub samples: Vec<Sample>,
    /// File and build id.
    pub mappings: Vec<(String, String)>,
}

/// One stack and its values.
#[derive(Debug)]
pub struct Sample {
    /// Functions, innermost first, inlined ones too; an address where there is no name.
    pub functions: Vec<String>,
    /// `file:line` of these.
    pub places: Vec<String>,
    /// One for each of the types.
    pub values: Vec<i64>,
    /// Key and value.
    pub labels: BTreeMap<String, String>,
}

impl Profile {
    /// The sum of one kind of value over the samples that `is_counted`.
    pub fn sum(&self, kind: &str, is_counted: impl Fn(&Sample) -> bool) -> i64 {
        let at = self.types.iter().position(|name| name.starts_with(kind)).expect("a kind of value");
        self.samples.iter().filter(|sample| is_counted(sample)).map(|sample| sample.values[at]).sum()
    }
}

/// A field of a message.
#[derive(Debug)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

type Fields<'a> = BTreeMap<u64, Vec<Field<'a>>>;

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a number ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).expect("64 bits");
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

fn fields(mut bytes: &[u8]) -> Fields<'_> {
    let mut fields = Fields::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (field, rest) = bytes.split_at(len);
                bytes = rest;
                Field::Bytes(field)
            }
            other => panic!("wire type {other} is not used"),
        };
        fields.entry(key >> 3).or_default().push(field);
    }
    fields
}

fn messages<'a>(fields: &Fields<'a>, tag: u64) -> Vec<Fields<'a>> {
    let messages = fields.get(&tag).into_iter().flatten();
    messages
        .map(|field| match field {
            Field::Bytes(bytes) => self::fields(bytes),
            Field::Number(_) => panic!("field {tag} is a message"),
        })
        .collect()
}

/// Repeated numbers, packed or not.
fn numbers(fields: &Fields<'_>, tag: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for field in fields.get(&tag).into_iter().flatten() {
        match *field {
            Field::Number(number) => numbers.push(number),
            Field::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    numbers.push(varint(&mut bytes));
                }
            }
        }
    }
    numbers
}

fn number(fields: &Fields<'_>, tag: u64) -> u64 {
    numbers(fields, tag).last().copied().unwrap_or(0)
}

/// By id, each once and none 0.
fn by_id<'a>(fields: &Fields<'a>, tag: u64) -> BTreeMap<u64, Fields<'a>> {
    let all = messages(fields, tag);
    let count = all.len();
    let by_id: BTreeMap<u64, Fields<'a>> =
        all.into_iter().map(|fields| (number(&fields, 1), fields)).collect();
    assert!(by_id.len() == count && !by_id.contains_key(&0), "ids of field {tag} are unique and not 0");
    by_id
}

/// Reads a profile, and panics at whatever is wrong with it.
pub fn read(file: &[u8]) -> Profile {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
    let profile = fields(&bytes);
    let strings: Vec<String> = profile[&6]
        .iter()
        .map(|field| match field {
            Field::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            Field::Number(_) => panic!("a string is no number"),
        })
        .collect();
    assert_eq!(strings[0], "", "the first string is empty");
    assert_eq!(strings.iter().collect::<BTreeSet<_>>().len(), strings.len(), "each string once");
    let text = |fields: &Fields<'_>, tag| strings[number(fields, tag) as usize].clone();
    let value_type = |fields: &Fields<'_>| format!("{}/{}", text(fields, 1), text(fields, 2));

    let (mappings, locations, functions) = (by_id(&profile, 3), by_id(&profile, 4), by_id(&profile, 5));
    let types: Vec<String> = messages(&profile, 1).iter().map(value_type).collect();
    let sample = |sample: &Fields<'_>| {
        let values: Vec<i64> = numbers(sample, 2).into_iter().map(|value| value as i64).collect();
        assert_eq!(values.len(), types.len(), "a value for each type");
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for id in numbers(sample, 1) {
            let location = &locations[&id];
            let mapping = number(location, 2);
            assert!(mapping == 0 || mappings.contains_key(&mapping), "mapping {mapping} exists");
            let lines = messages(location, 4);
            if lines.is_empty() {
                names.push(format!("{:#x}", number(location, 3)));
            }
            for line in lines {
                let function = &functions[&number(&line, 1)];
                names.push(text(function, 2));
                places.push(format!("{}:{}", text(function, 4), number(&line, 2)));
            }
        }
        let labels = messages(sample, 3);
        let labels = labels.iter().map(|label| (text(label, 1), text(label, 2))).collect();
        Sample { functions: names, places, values, labels }
    };
    Profile {
        default_type: text(&profile, 14),
        period: messages(&profile, 11)
            .first()
            .map_or_else(Default::default, |kind| (value_type(kind), number(&profile, 12) as i64)),
        time_nanos: number(&profile, 9) as i64,
        samples: messages(&profile, 2).iter().map(sample).collect(),
        mappings: mappings.values().map(|mapping| (text(mapping, 5), text(mapping, 6))).collect(),
        types,
    }
}
