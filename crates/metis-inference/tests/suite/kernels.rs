//! Every kernel of this machine, with any number of threads, against plain loops and against each other.

use crate::encoder::{self, Encoder, Random};
use metis_inference::{Aligned, How, Kernel, Model, graph::Limits};

const INT8: u8 = 1;
const INT16: u8 = 2;
const INT32: u8 = 3;

fn open(graph: &[u8], weights: &[u8]) -> Model<Aligned> {
    Model::open(graph, Aligned::copy_of(weights), &Limits::default()).unwrap()
}

/// The first output of a run.
fn run(model: &Model<Aligned>, kernel: Kernel, threads: usize, given: &[&[u8]]) -> Vec<u8> {
    let given: Vec<Option<&[u8]>> = given.iter().copied().map(Some).collect();
    let mut workspace = model.workspace(threads);
    model.run(How { kernel, threads }, &given, &mut workspace).unwrap();
    model.outputs(&mut workspace).swap_remove(0)
}

/// Every kernel with one to four threads gives these bytes.
fn check(graph: &[u8], weights: &[u8], given: &[&[u8]], expected: &[u8]) {
    let model = open(graph, weights);
    for kernel in Kernel::available() {
        for threads in 1..=4 {
            assert_eq!(run(&model, kernel, threads, given), expected, "{kernel:?} on {threads} threads");
        }
    }
}

fn bytes_of(values: &[i64], dtype: u8) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(1 << (dtype - 1))).collect()
}

#[test]
fn test_matmul__sizes_around_tiles_and_panels__equals_a_plain_loop() {
    let mut random = Random(7);
    for dtype in [INT8, INT16] {
        let most = if dtype == INT8 { 128 } else { 1500 };
        for [m, k, n] in
            [[1, 1, 8], [1, 64, 16], [6, 5, 17], [7, 65, 33], [16, 64, 32], [17, 63, 65], [33, 130, 48], [40, 384, 96]]
        {
            for (transpose_b, is_constant) in [(0, true), (1, true), (0, false), (1, false)] {
                let a: Vec<i64> = (0..m * k).map(|_| random.between(-most, most - 1)).collect();
                let b: Vec<i64> = (0..k * n).map(|_| random.between(-most, most - 1)).collect();
                let at = |term: usize, column: usize| {
                    if transpose_b == 1 { b[column * k + term] } else { b[term * n + column] }
                };
                let expected: Vec<i64> = (0..m * n)
                    .map(|place| (0..k).map(|term| a[place / n * k + term] * at(term, place % n)).sum())
                    .collect();
                let shape_b = if transpose_b == 1 { [n, k] } else { [k, n] };
                let mut encoder = Encoder::default();
                encoder.input("a", dtype, &[m, k], -most, most - 1);
                let mut weights = Vec::new();
                if is_constant {
                    encoder.constant(dtype, &shape_b, -most, most - 1);
                    weights = bytes_of(&b, dtype);
                    weights.resize(weights.len().next_multiple_of(64), 0);
                } else {
                    encoder.input("b", dtype, &shape_b, -most, most - 1);
                }
                encoder.node(1, &[0, 1], &[transpose_b, INT32]);
                let (graph, a, b) = (encoder.graph(2), bytes_of(&a, dtype), bytes_of(&b, dtype));
                let given: &[&[u8]] = if is_constant { &[&a] } else { &[&a, &b] };
                check(&graph, &weights, given, &bytes_of(&expected, INT32));
            }
        }
    }
}

#[test]
fn test_conv2d__with_pads_strides_and_groups__equals_a_plain_loop() {
    let mut random = Random(3);
    let ([batch, groups, depth, filters], [height, width]) = ([2, 2, 3, 5], [9, 7]);
    for dtype in [INT8, INT16] {
        let x: Vec<i64> = (0..batch * groups * depth * height * width).map(|_| random.between(-100, 100)).collect();
        let w: Vec<i64> = (0..groups * filters * depth * 9).map(|_| random.between(-100, 100)).collect();
        let (strides, pads, plane) = ([2, 1], [1, 2, 0, 1], [(9 + 1 - 3) / 2 + 1, 7 + 3 - 3 + 1]);
        let mut expected = Vec::new();
        for place in 0..batch * groups * filters * plane[0] * plane[1] {
            let (item, i, j) = (place / (plane[0] * plane[1]), place / plane[1] % plane[0], place % plane[1]);
            let (image, filter) = (item / (groups * filters), item % (groups * filters));
            let mut sum = 0;
            for term in 0..depth * 9 {
                let (channel, row, column) = (term / 9, term / 3 % 3, term % 3);
                let (y, z) = (i * strides[0] + row, j * strides[1] + column);
                if (pads[0]..height + pads[0]).contains(&y) && (pads[1]..width + pads[1]).contains(&z) {
                    let source = (image * groups + filter / filters) * depth + channel;
                    sum += x[(source * height + y - pads[0]) * width + z - pads[1]] * w[filter * depth * 9 + term];
                }
            }
            expected.push(sum);
        }
        let mut encoder = Encoder::default();
        encoder.input("x", dtype, &[batch, groups * depth, height, width], -100, 100);
        encoder.constant(dtype, &[groups * filters, depth, 3, 3], -100, 100);
        let list = |values: &[i64]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            std::iter::once(values.len() as u8).chain(bytes).collect::<Vec<u8>>()
        };
        let attributes =
            [list(&[2, 1]), list(&[1, 2, 0, 1]), list(&[1, 1]), 2_i64.to_le_bytes().to_vec(), vec![INT32]].concat();
        encoder.node(2, &[0, 1], &attributes);
        let mut weights = bytes_of(&w, dtype);
        weights.resize(weights.len().next_multiple_of(64), 0);
        check(&encoder.graph(2), &weights, &[&bytes_of(&x, dtype)], &bytes_of(&expected, INT32));
    }
}

#[test]
fn test_run__a_thousand_times_with_changing_threads__gives_one_result() {
    let mut random = Random(5);
    let mut encoder = Encoder::default();
    encoder.input("x", INT32, &[32, 96], -1 << 20, 1 << 20);
    encoder.constant(INT8, &[64, 96], -127, 127);
    encoder.node(18, &[0], &[INT8]); // quantise_rows: tensors 2 and 3
    encoder.node(1, &[2, 1], &[1, INT32]); // matmul: 4
    encoder.node(16, &[4, 3], &[26_i64.to_le_bytes().as_slice(), &[INT32]].concat()); // rescale by row: 5
    encoder.node(19, &[5], &encoder::layer_norm(1, 0, 5, 12)); // layer_norm: 6
    encoder.node(20, &[6], &encoder::softmax(94_548, 6, INT16)); // softmax: 7
    let weights: Vec<i64> = (0..64 * 96).map(|_| random.between(-127, 127)).collect();
    let x: Vec<i64> = (0..32 * 96).map(|_| random.between(-1 << 20, 1 << 20)).collect();
    let (graph, weights, x) = (encoder.graph(7), bytes_of(&weights, INT8), bytes_of(&x, INT32));
    let model = open(&graph, &weights);
    let expected = run(&model, Kernel::Scalar, 1, &[&x]);
    assert!(expected.iter().any(|byte| *byte != 0));
    let mut workspaces: Vec<_> = (1..=4).map(|threads| model.workspace(threads)).collect();
    let kernels = Kernel::available();
    for round in 0..1000 {
        let (kernel, threads) = (kernels[round % kernels.len()], round / kernels.len() % 4 + 1);
        let workspace = &mut workspaces[threads - 1];
        model.run(How { kernel, threads }, &[Some(&x)], workspace).unwrap();
        assert_eq!(model.outputs(workspace)[0], expected, "{kernel:?} on {threads} threads, round {round}");
    }
}
