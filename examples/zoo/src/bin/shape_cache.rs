//! The fault of FastNN#17: buffers of a model are kept for the next time by their exact size, some of each, and nobody counts
//! the sizes. Each batch has another one. Batches come in bursts. The twin rounds up to a power of two.

use std::sync::Arc;
use std::time::Duration;

use diag::task::JoinSet;

#[global_allocator]
static ALLOC: zoo::Alloc = zoo::alloc();

/// Memory for tensors.
mod memory {
    use std::collections::HashMap;
    use std::sync::Mutex;

    const MAX_PER_SIZE: usize = 16;

    #[derive(Default)]
    pub(crate) struct Memory {
        free: Mutex<HashMap<usize, Vec<Vec<f32>>>>,
    }

    impl Memory {
        pub(crate) fn take(&self, len: usize) -> Vec<f32> {
            let size = if zoo::healthy() { len.next_power_of_two() } else { len };
            let free = self.free.lock().unwrap().get_mut(&size).and_then(Vec::pop);
            let mut block = free.unwrap_or_else(|| allocate(size));
            block.resize(len, 0.0);
            block
        }

        pub(crate) fn give_back(&self, block: Vec<f32>) {
            let mut free = self.free.lock().unwrap();
            let blocks = free.entry(block.capacity()).or_default(); // FAULT
            if blocks.len() < MAX_PER_SIZE {
                blocks.push(block); // FAULT
            }
            zoo::set_held(free.iter().map(|(size, blocks)| size * 4 * blocks.len()).sum());
        }
    }

    fn allocate(size: usize) -> Vec<f32> {
        Vec::with_capacity(size) // FAULT
    }
}

mod model {
    use crate::memory::Memory;

    pub(crate) trait Layer: Send + Sync {
        fn forward(&self, memory: &Memory, input: Vec<f32>) -> Vec<f32>;
    }

    struct Scale(f32);

    struct Halve;

    impl Layer for Scale {
        fn forward(&self, memory: &Memory, input: Vec<f32>) -> Vec<f32> {
            let mut output = memory.take(input.len()); // FAULT
            output.iter_mut().zip(&input).for_each(|(output, input)| *output = input * self.0);
            memory.give_back(input);
            output
        }
    }

    impl Layer for Halve {
        fn forward(&self, memory: &Memory, input: Vec<f32>) -> Vec<f32> {
            let mut output = memory.take(input.len() / 2); // FAULT
            output.iter_mut().zip(input.chunks_exact(2)).for_each(|(output, two)| *output = two[0] + two[1]);
            memory.give_back(input);
            output
        }
    }

    pub(crate) fn load() -> Vec<Box<dyn Layer>> {
        vec![Box::new(Scale(0.5)), Box::new(Halve), Box::new(Scale(2.0))]
    }

    pub(crate) fn run(layers: &[Box<dyn Layer>], memory: &Memory, tokens: usize) -> f32 {
        let mut tensor = memory.take(tokens); // FAULT
        tensor.fill(1.0);
        for layer in layers {
            tensor = layer.forward(memory, tensor);
        }
        let sum = tensor.iter().sum();
        memory.give_back(tensor);
        sum
    }
}

#[tokio::main]
async fn main() {
    zoo::start();
    let (memory, layers) = (Arc::<memory::Memory>::default(), Arc::new(model::load()));
    let mut tick = tokio::time::interval(Duration::from_millis(1_500));
    for burst in 0.. {
        tick.tick().await;
        let mut batches = JoinSet::new();
        for batch in 0..6 + zoo::mix(burst) % 4 {
            let (memory, layers) = (memory.clone(), layers.clone());
            let tokens = 4_000 + (zoo::mix(burst * 16 + batch) % 36_000) as usize;
            batches.spawn_blocking(move || model::run(&layers, &memory, tokens)); // FAULT
        }
        while batches.join_next().await.is_some() {}
    }
}
