//! Call stacks, and the sampled heap.

use diag_snapshot::{
    FrameIndex, FrameRow, Heap, HeapFacts, ModuleIndex, ModuleRow, NameRow, Outcome, SampleRow, SiteAgeRow,
    SiteIndex, SiteTotalsRow, StackAgeRow, StackIndex, StackRow, StackTotalsRow, Stacks, Strings, TaskId,
};

use super::UPTIME_US;
use crate::random::SplitMix;

pub(super) fn call_stacks(random: &mut SplitMix, strings: &mut Strings, stacks: u64) -> Stacks {
    let mut tree = Stacks::default();
    tree.modules.push(ModuleRow {
        path: strings.intern("/usr/local/bin/iothub"),
        build_id: Some(strings.intern("8f3a5c")),
        base: 0x5555_5555_4000,
        size_bytes: 9 << 20,
    });
    for i in 0..stacks {
        let module = Some(ModuleIndex(0));
        tree.frames.push(FrameRow { module, offset: 0x1000 + i * 64 + random.below(60) });
        let caller = (i > 0).then(|| StackIndex(random.below(i) as u32));
        tree.stacks.push(StackRow { caller, frame: FrameIndex(i as u32) });
        let function = strings.intern(&format!("iothub::layer{}::call{i}", i % 30));
        tree.names.push(NameRow {
            frame: FrameIndex(i as u32),
            function,
            file: None,
            line: Some(i as u32 % 900),
        });
    }
    tree
}

pub(super) fn heap(random: &mut SplitMix, stacks: u64, samples: u64, tasks: u64) -> Heap {
    let facts = HeapFacts {
        rate_bytes: 512 << 10,
        next_birth: samples * 3,
        refused: 0,
        unwinder: "frame-pointers".to_owned(),
    };
    let mut heap = Heap { facts, ..Heap::default() };
    for i in 0..samples {
        let task = (random.below(3) > 0).then(|| TaskId(1_000 + random.below(tasks.max(1))));
        heap.samples.push(SampleRow {
            birth: i * 3 + random.below(3),
            size_bytes: 16 + random.log_below(1 << 20),
            rate_bytes: 512 << 10,
            stack: StackIndex(random.below(stacks) as u32),
            task,
            task_site: task.map(|_| SiteIndex(random.below(6) as u32)),
            task_end: task.filter(|task| task.0 % 3 == 0).map(|_| Outcome::Cancelled),
            thread: random.below(8) as u32,
            born_us: i * UPTIME_US / samples,
        });
    }
    for stack in (0..stacks as u32).map(StackIndex) {
        let allocated_blocks = 1 + random.log_below(1 << 30);
        let freed_blocks = random.below(allocated_blocks + 1);
        let [allocated_bytes, freed_bytes] = [allocated_blocks, freed_blocks].map(|blocks| blocks * 48);
        heap.stack_totals.push(StackTotalsRow {
            stack,
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
        });
        heap.stack_ages.push(StackAgeRow { stack, bucket: stack.0 % 24, count: 1 + freed_blocks });
    }
    for site in (0..6).map(SiteIndex) {
        let (allocated_blocks, freed_blocks) = (tasks * 40, tasks * 39);
        let [allocated_bytes, freed_bytes] = [allocated_blocks, freed_blocks].map(|blocks| blocks * 900);
        heap.site_totals.push(SiteTotalsRow {
            site,
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
        });
        heap.site_ages.push(SiteAgeRow { site, bucket: 11, count: freed_blocks });
    }
    heap
}
