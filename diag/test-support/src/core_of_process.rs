//! The core of a process that is stopped, written as the kernel would write it: where the machine writes none, and for tests that
//! look at the process before.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::core_file::{FILES, HEADER, PAGE, PROCESS, SEGMENT, THREAD, files_content, header, note, segment};

/// A mapping, and how much of it a core has.
#[derive(Default)]
struct Mapping {
    start: u64,
    end: u64,
    flags: u32,
    offset: u64,
    path: Option<String>,
    anonymous_kib: u64,
    is_left_out: bool,
}

impl Mapping {
    fn of(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).ok());
        let access = words.next()?;
        let flag = |letter, bit| if access.contains(letter) { bit } else { 0 };
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        let path = words.nth(2).filter(|path| path.starts_with('/')).map(str::to_owned);
        let flags = flag('r', 4) | flag('w', 2) | flag('x', 1);
        Some(Mapping { start: start?, end: end?, flags, offset, path, ..Mapping::default() })
    }

    /// As the kernel chooses: what is marked is left out, and of a file that was not written only its first page is there,
    /// which tells which build it is.
    fn bytes_in_core(&self) -> u64 {
        match &self.path {
            _ if self.is_left_out || self.flags & 4 == 0 => 0,
            Some(_) if self.anonymous_kib == 0 => {
                if self.offset == 0 {
                    PAGE
                } else {
                    0
                }
            }
            _ => self.end - self.start,
        }
    }
}

/// Writes the core of a process, all of whose threads are stopped and whose memory this one may read: a child's.
///
/// # Errors
/// If it cannot be read, or the file not be written.
pub fn write_core_of(pid: u32, to: &Path) -> io::Result<()> {
    let mappings = mappings(&fs::read_to_string(format!("/proc/{pid}/smaps"))?);
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let names = fs::read_dir(format!("/proc/{pid}/task"))?.flatten().map(|entry| entry.file_name());
    let mut threads: Vec<u32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    threads.sort_unstable();
    let notes = notes(pid, &threads, &mappings);
    let notes_at = (HEADER + SEGMENT * (mappings.len() + 1)) as u64;
    let mut at = (notes_at + notes.len() as u64).next_multiple_of(PAGE);
    let mut head = header(mappings.len() as u16 + 1);
    segment(&mut head, 4, 0, [notes_at, 0, notes.len() as u64, 0]);
    for mapping in &mappings {
        let bytes = mapping.bytes_in_core();
        segment(&mut head, 1, mapping.flags, [at, mapping.start, bytes, mapping.end - mapping.start]);
        at += bytes;
    }
    let mut core = File::create(to)?;
    core.write_all(&head)?;
    core.write_all(&notes)?;
    core.seek(SeekFrom::Start((notes_at + notes.len() as u64).next_multiple_of(PAGE)))?;
    for mapping in &mappings {
        copy(&memory, mapping.start, mapping.bytes_in_core(), &mut core)?;
    }
    core.set_len(at)
}

fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(mapping) = Mapping::of(line) {
            mappings.push(mapping);
            continue;
        }
        let Some((mapping, (key, value))) = mappings.last_mut().zip(line.split_once(':')) else { continue };
        match key {
            "Anonymous" => {
                let kib = value.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok());
                mapping.anonymous_kib = kib.unwrap_or(0);
            }
            // Marked so, or of the kernel's own.
            "VmFlags" => {
                let is_marked = |flag: &str| ["dd", "io", "pf"].contains(&flag);
                mapping.is_left_out = value.split_ascii_whitespace().any(is_marked);
            }
            _ => {}
        }
    }
    // That of system calls, which nobody can read.
    mappings.retain(|mapping| mapping.start < 1 << 63);
    mappings
}

fn notes(pid: u32, threads: &[u32], mappings: &[Mapping]) -> Vec<u8> {
    let file = |mapping: &'_ Mapping| [mapping.start, mapping.end, mapping.offset];
    let files: Vec<_> =
        mappings.iter().filter_map(|mapping| Some((file(mapping), mapping.path.as_ref()?))).collect();
    let mut process = vec![0; 136];
    process[24..28].copy_from_slice(&pid.to_le_bytes());
    let mut notes = note(PROCESS, process);
    for tid in threads {
        let mut thread = vec![0; 336];
        thread[32..36].copy_from_slice(&tid.to_le_bytes());
        notes.extend(note(THREAD, thread));
    }
    notes.extend(note(FILES, files_content(&files)));
    notes
}

/// What is zero becomes a hole.
fn copy(memory: &File, start: u64, bytes: u64, core: &mut File) -> io::Result<()> {
    let mut piece = vec![0; 1 << 20];
    let mut done = 0;
    while done < bytes {
        let len = piece.len().min((bytes - done) as usize);
        memory.read_exact_at(&mut piece[..len], start + done)?;
        for page in piece[..len].chunks(PAGE as usize) {
            if page.iter().all(|byte| *byte == 0) {
                core.seek(SeekFrom::Current(page.len() as i64))?;
            } else {
                core.write_all(page)?;
            }
        }
        done += len as u64;
    }
    Ok(())
}
