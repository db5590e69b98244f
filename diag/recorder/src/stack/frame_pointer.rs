//! The frame pointer of a thread that sleeps in a system call: the kernel tells where its stack is, and not what it
//! had in that register, by which some functions find their callers. The standard library's are such.
//!
//! Such a function begins by pushing the register, then keeps the stack pointer there, and then makes room by an
//! amount that its code tells; so the frame lies that much above the stack pointer. Where the code begins otherwise,
//! the stack is searched for a return address behind a call of the very function. Nothing is guessed: without a
//! frame that fits, the stack ends there.

use super::modules;
use crate::sys::own_memory;

/// How far up a frame is searched.
const MAX_FRAME_BYTES: u64 = 64 << 10;
/// The first instructions that are looked at.
const START_BYTES: usize = 64;

/// Code addresses of a capture, by which function starts and calls are found.
pub(super) struct Code(Vec<modules::Functions>);

impl Code {
    pub(super) fn loaded() -> Self {
        Code(modules::loaded().iter().filter_map(modules::Functions::of).collect())
    }

    /// The frame pointer in the function that `ip` lies in, whose stack pointer is `sp`. `word` reads the stack.
    pub(super) fn frame_pointer(&self, ip: u64, sp: u64, word: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let start = self.0.iter().find_map(|functions| functions.start_of(ip))?;
        let return_address = |fp: u64| word(fp.checked_add(8)?);
        let by_code = room_made(&code_at(start)?).map(|room| sp + room);
        let is_frame = |fp: &u64| return_address(*fp).is_some_and(|address| call_before(address).is_some());
        by_code.filter(is_frame).or_else(|| {
            let calls_it = |fp: &u64| {
                let call = return_address(*fp).and_then(call_before);
                call.and_then(Call::target).is_some_and(|target| target == start)
            };
            (sp..sp + MAX_FRAME_BYTES).step_by(8).find(calls_it)
        })
    }
}

fn code_at(address: u64) -> Option<[u8; START_BYTES]> {
    let mut code = [0; START_BYTES];
    own_memory::read(address, &mut code).then_some(code)
}

/// By how much a function that begins so moves its stack pointer below its frame pointer; `None` if it does not
/// begin by saving the latter, or moves the former in a way that is not known.
fn room_made(mut code: &[u8]) -> Option<u64> {
    const LANDING: [u8; 4] = [0xF3, 0x0F, 0x1E, 0xFA]; // endbr64
    const SAVE_AND_SET: [u8; 4] = [0x55, 0x48, 0x89, 0xE5]; // push rbp; mov rbp, rsp
    code = code.strip_prefix(&LANDING).unwrap_or(code).strip_prefix(&SAVE_AND_SET)?;
    let mut pushed = 0;
    loop {
        code = match code {
            [0x50..=0x57, rest @ ..] | [0x41, 0x50..=0x57, rest @ ..] => rest, // push
            [0x48, 0x83, 0xEC, bytes, ..] => return Some(pushed + u64::from(*bytes)), // sub rsp, imm8
            [0x48, 0x81, 0xEC, a, b, c, d, rest @ ..] => {
                // sub rsp, imm32: the first page of many, if it is touched at once (mov qword ptr [rsp], 0).
                let is_probe = rest.starts_with(&[0x48, 0xC7, 0x04, 0x24]);
                return (!is_probe).then(|| pushed + u64::from(u32::from_le_bytes([*a, *b, *c, *d])));
            }
            // and rsp, imm; lea r11, [rsp - imm], which begins to touch pages.
            [0x48, 0x83 | 0x81, 0xE4, ..] | [0x4C, 0x8D, 0x9C, 0x24, ..] => return None,
            _ => return Some(pushed),
        };
        pushed += 8;
    }
}

/// The call that a return address lies behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Of this address, or of the stub there that goes on to the place that another library is called by.
    Direct(u64),
    /// Of what is written at this address.
    Through(u64),
    /// Of what was in a register or in memory.
    Unknown,
}

fn call_before(return_address: u64) -> Option<Call> {
    const LONGEST: usize = 8;
    let mut before = [0; LONGEST];
    if !own_memory::read(return_address.checked_sub(LONGEST as u64)?, &mut before) {
        return None;
    }
    decode(&before, return_address)
}

/// The call that these bytes end with.
fn decode(before: &[u8; 8], return_address: u64) -> Option<Call> {
    let relative = || {
        let distance = i32::from_le_bytes([before[4], before[5], before[6], before[7]]);
        return_address.wrapping_add_signed(distance.into())
    };
    match before {
        [_, _, _, 0xE8, ..] => return Some(Call::Direct(relative())),
        [_, _, 0xFF, 0x15, ..] => return Some(Call::Through(relative())),
        _ => {}
    }
    // call through a register or memory: FF /2, with the operand's bytes behind.
    let is_call = |(at, &byte): (usize, &u8)| {
        let operand = &before[at + 1..];
        byte == 0xFF
            && operand.first().is_some_and(|&first| operand_len(first, operand) == Some(operand.len()))
    };
    before.iter().enumerate().any(is_call).then_some(Call::Unknown)
}

/// Bytes of the operand that begins so, if it is that of a call.
fn operand_len(first: u8, operand: &[u8]) -> Option<usize> {
    const CALL: u8 = 2;
    if first >> 3 & 7 != CALL {
        return None;
    }
    let (kind, place) = (first >> 6, first & 7);
    let has_index = kind != 3 && place == 4;
    let distance = match kind {
        0 if place == 5 || has_index && operand.get(1)? & 7 == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    Some(1 + usize::from(has_index) + distance)
}

impl Call {
    /// The function that is called, if the code tells.
    fn target(self) -> Option<u64> {
        const JUMP_THROUGH: [u8; 2] = [0xFF, 0x25];
        let pointer = |at: u64| {
            let mut bytes = [0; 8];
            own_memory::read(at, &mut bytes).then(|| u64::from_le_bytes(bytes))
        };
        match self {
            Call::Unknown => None,
            Call::Through(at) => pointer(at),
            Call::Direct(target) => {
                let code = code_at(target);
                // endbr64 may stand before the jump of a stub.
                let stub = |code: [u8; START_BYTES]| {
                    let at = if code.starts_with(&[0xF3, 0x0F, 0x1E, 0xFA]) { 4 } else { 0 };
                    let rest = code[at..].strip_prefix(&JUMP_THROUGH)?;
                    let distance = i32::from_le_bytes(rest.first_chunk().copied()?);
                    pointer((target + at as u64 + 6).wrapping_add_signed(distance.into()))
                };
                Some(code.and_then(stub).unwrap_or(target))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_instructions_tell_the_room() {
        let check = |code: &[u8], expected| assert_eq!(room_made(code), expected, "{code:x?}");
        // push rbx; push rax; mov rax, [rdi]
        check(&[0x55, 0x48, 0x89, 0xE5, 0x53, 0x50, 0x48, 0x8B, 0x07], Some(16));
        // push r15; push rbx; sub rsp, 0x28
        check(&[0x55, 0x48, 0x89, 0xE5, 0x41, 0x57, 0x53, 0x48, 0x83, 0xEC, 0x28], Some(0x38));
        check(
            &[0xF3, 0x0F, 0x1E, 0xFA, 0x55, 0x48, 0x89, 0xE5, 0x48, 0x81, 0xEC, 0, 2, 0, 0, 0x90],
            Some(512),
        );
        // Aligned, or touched page by page: what is moved is not known.
        check(&[0x55, 0x48, 0x89, 0xE5, 0x48, 0x83, 0xE4, 0xE0], None);
        check(&[0x55, 0x48, 0x89, 0xE5, 0x48, 0x81, 0xEC, 0, 16, 0, 0, 0x48, 0xC7, 0x04, 0x24], None);
        // No frame pointer.
        check(&[0x53, 0x48, 0x83, 0xEC, 0x10], None);
    }

    #[test]
    fn calls_are_told_from_what_is_none() {
        let check = |before: [u8; 8], expected| assert_eq!(decode(&before, 0x1000), expected, "{before:x?}");
        check([0, 0, 0, 0xE8, 0, 1, 0, 0], Some(Call::Direct(0x1100)));
        check([0, 0, 0xFF, 0x15, 0, 1, 0, 0], Some(Call::Through(0x1100)));
        check([0, 0, 0, 0, 0, 0, 0xFF, 0xD0], Some(Call::Unknown)); // call rax
        check([0, 0, 0, 0, 0x41, 0xFF, 0x54, 0x24], None); // cut
        check([0, 0, 0, 0x41, 0xFF, 0x54, 0x24, 8], Some(Call::Unknown)); // call [r12 + 8]
        check([0, 0, 0, 0, 0, 0xFF, 0x50, 0x18], Some(Call::Unknown)); // call [rax + 24]
        check([0, 0, 0, 0, 0, 0, 0xFF, 0xE0], None); // jmp rax
        check([0x90; 8], None);
    }

    #[test]
    fn the_start_of_a_function_is_found() {
        let code = Code::loaded();
        let start = room_made as *const () as u64;
        let found = |ip| code.0.iter().find_map(|functions| functions.start_of(ip));
        assert_eq!((found(start), found(start + 9)), (Some(start), Some(start)));
        assert_eq!(found(7), None);
    }
}
