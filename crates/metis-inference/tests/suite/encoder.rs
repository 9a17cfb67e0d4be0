//! Graphs as bytes, and numbers to try them with.

/// The parts of a graph so far.
#[derive(Default)]
pub struct Encoder {
    inputs: Vec<Vec<u8>>,
    constants: Vec<Vec<u8>>,
    nodes: Vec<Vec<u8>>,
}

fn facts(dtype: u8, shape: &[usize], lo: i64, hi: i64) -> Vec<u8> {
    let mut bytes = vec![dtype, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| (*size as u32).to_le_bytes()));
    bytes.extend([lo, hi].into_iter().flat_map(i64::to_le_bytes));
    bytes
}

impl Encoder {
    pub fn input(&mut self, name: &str, dtype: u8, shape: &[usize], lo: i64, hi: i64) {
        let mut bytes = vec![name.len() as u8];
        bytes.extend(name.bytes());
        bytes.extend(facts(dtype, shape, lo, hi));
        self.inputs.push(bytes);
    }

    pub fn constant(&mut self, dtype: u8, shape: &[usize], lo: i64, hi: i64) {
        self.constants.push(facts(dtype, shape, lo, hi));
    }

    pub fn node(&mut self, code: u8, inputs: &[u32], attributes: &[u8]) {
        let mut bytes = vec![code, inputs.len() as u8];
        bytes.extend(inputs.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(attributes);
        self.nodes.push(bytes);
    }

    /// The graph whose output is one tensor.
    pub fn graph(&self, output: u32) -> Vec<u8> {
        let mut bytes = b"METISAIG\x01\x00".to_vec();
        for count in [self.inputs.len(), 0, self.constants.len(), self.nodes.len(), 1] {
            bytes.extend((count as u32).to_le_bytes());
        }
        bytes.extend([&self.inputs, &self.constants, &self.nodes].into_iter().flatten().flatten());
        bytes.extend([1, b'y']);
        bytes.extend(output.to_le_bytes());
        bytes
    }
}

pub fn layer_norm(center: u8, shift: i64, epsilon: i64, fraction_bits: i64) -> Vec<u8> {
    let numbers = [shift, epsilon, fraction_bits].into_iter().flat_map(i64::to_le_bytes);
    std::iter::once(center).chain(numbers).collect()
}

pub fn softmax(multiplier: i64, shift: i64, dtype: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = [multiplier, shift].into_iter().flat_map(i64::to_le_bytes).collect();
    bytes.push(4);
    bytes.extend([16_777_216, -11_603_335, 3_882_178, -668_937_i64].into_iter().flat_map(i64::to_le_bytes));
    bytes.push(dtype);
    bytes
}

/// A plain generator: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn between(&mut self, lo: i64, hi: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lo + ((self.0 >> 33) as i64).rem_euclid(hi - lo + 1)
    }
}
