//! The work of a node, in MACs: what its shapes and types make a processor do, in products of bytes.
//!
//! The unit is one multiplication with addition of a large product of bytes on AVX2, about a hundredth of a nanosecond
//! on a processor of 2023. What is charged for each node, run, row, line and element is what these took there
//! (`metis bench prices`), so that no shape is much cheaper than it is slow. SPEC: docs/ai-graph.md, "Work".

use super::{
    operator::{Operator, Windows},
    types::{DType, Facts, Shape},
};

/// Of every node, whatever it does: as much as an operator on one element takes.
const NODE_MACS: u128 = 6_000;

/// Of each operand and result of a run of single elements.
const RUN_MACS: u128 = 3_500;
const ROW_MACS: u128 = 12_000;
const MASK_MACS: u128 = 200;
const MASKED_ROW_MACS: u128 = 14_000;
const SHORT_ROW_MACS: u128 = 2_500;
const LINE_MACS: u128 = 2_000;

const SELECT_MACS: u128 = 20;
const DIVIDE_MACS: u128 = 1_000;
const LOOKUP_MACS: u128 = 150;
const QUANTISE_MACS: u128 = 20;
const LAYER_NORM_MACS: u128 = 10;
const SOFTMAX_MACS: u128 = 150;
const CHOICE_MACS: u128 = 120;
const REDUCE_MACS: u128 = 20;
const MOVE_MACS: u128 = 60;

// Products: of 64 columns (more where they are packed in panels), of a row of 64 columns, of a term of such a row, of an
// element of the second factor.
const COLUMNS: u128 = 64;
const COLUMNS_MACS: u128 = 2_500;
const PANELS_MACS: u128 = 18_000;
const PANEL_ROW_MACS: u128 = 1_300;
const PLAIN_ROW_MACS: u128 = 3_200;
const PLAIN_TERM_MACS: u128 = 800;
const PLAIN_MACS: u128 = 30;
const PACKED_MACS: u128 = 130;
const SEEN_MACS: u128 = 450;
// What is multiplied in panels: from so many columns on, up to so many terms, padded to these.
const PANEL_COLUMNS_MIN: u128 = 8;
const PANEL_TERMS_MAX: u128 = 1 << 14;
const PANEL: u128 = 16;
const PAIR: u128 = 2;

const PLANE_MACS: u128 = 3_000;
const PLACE_MACS: u128 = 200;
const WINDOW_MACS: u128 = 80;

const TOP_MACS: u128 = 300;
const TOP_ROW_MACS: u128 = 4_000;
const ENTRY_MACS: u128 = 1_500;
const ENTRY_ELEMENT_MACS: u128 = 4;

/// The work of a node with these operands and this first result. `is_packed`: the second factor of a product is a
/// constant, which is brought into panels once.
pub(super) fn work_of(operator: &Operator, operands: &[Facts], result: &Facts, is_packed: bool) -> u128 {
    let x = &operands[0];
    let own = match *operator {
        Operator::MatMul { .. } => matmul(operands, result, is_packed),
        Operator::Conv2d { groups, .. } => {
            let [filters, depth, rows, columns] = sizes(&operands[1].shape);
            let [batch, _, height, width] = sizes(&result.shape);
            let groups = groups as u128;
            let size = Size {
                batch: batch * groups,
                rows: filters / groups,
                terms: depth * rows * columns,
                columns: height * width,
            };
            product(operands, result.dtype, &size, SEEN_MACS)
        }
        Operator::MaxPool2d(windows) | Operator::SumPool2d { windows, .. } => pool(&windows, result),
        Operator::Gather => ENTRY_MACS * elements(&operands[1]) + ENTRY_ELEMENT_MACS * elements(result),
        Operator::Pair { .. } | Operator::Clip { .. } | Operator::Rescale { .. } => elementwise(operands, result, 1),
        Operator::Equal | Operator::Less | Operator::Select { .. } => elementwise(operands, result, SELECT_MACS),
        Operator::Divide { .. } => elementwise(operands, result, DIVIDE_MACS),
        // A table is no operand of the run.
        Operator::Lookup { .. } => elementwise(&operands[..1], result, LOOKUP_MACS),
        Operator::QuantiseRows { .. } => each_row(x, ROW_MACS, QUANTISE_MACS),
        Operator::LayerNorm { .. } => each_row(x, ROW_MACS, LAYER_NORM_MACS),
        Operator::Softmax { .. } if operands.len() == 2 => each_row(x, MASKED_ROW_MACS, SOFTMAX_MACS + MASK_MACS),
        Operator::Softmax { .. } => each_row(x, ROW_MACS, SOFTMAX_MACS),
        Operator::ArgMax | Operator::Sample => each_row(x, SHORT_ROW_MACS, CHOICE_MACS),
        Operator::TopK { k } => each_row(x, TOP_ROW_MACS, TOP_MACS * u128::from(1 + usize::BITS - k.leading_zeros())),
        Operator::ReduceSum { axis, .. } | Operator::ReduceMax { axis } => {
            let inner = x.shape.strides()[axis] as u128;
            let line = if inner == 1 { x.shape.size(axis) as u128 } else { inner };
            SHORT_ROW_MACS * (elements(x) / line) + REDUCE_MACS * elements(x)
        }
        Operator::Reshape(_) => 0,
        Operator::Transpose(_) | Operator::Slice { .. } => {
            let line = result.shape.dimensions().iter().rev().find(|size| **size > 1).map_or(1, |size| *size);
            LINE_MACS * (elements(result) / u128::from(line)) + MOVE_MACS * elements(result)
        }
        Operator::Broadcast(_) => LINE_MACS * runs(operands, &result.shape) + elements(result),
        Operator::Concat { axis } | Operator::CacheAppend { axis } => {
            let lines: u128 = result.shape.dimensions()[..axis].iter().map(|size| u128::from(*size)).product();
            LINE_MACS * lines * operands.len() as u128 + elements(result)
        }
    };
    NODE_MACS + own
}

fn elements(facts: &Facts) -> u128 {
    facts.elements() as u128
}

/// The sizes of a shape of four dimensions.
fn sizes(shape: &Shape) -> [u128; 4] {
    [0, 1, 2, 3].map(|axis| shape.size(axis) as u128)
}

/// Elements that are computed in one go, of single elements: those of the last dimensions that every operand either has
/// or repeats.
pub(crate) fn run_length<'a>(operands: impl Iterator<Item = &'a Shape> + Clone, result: &Shape) -> u128 {
    let (mut length, mut kept) = (1, None);
    for back in 1..=result.rank() {
        let size = result.size(result.rank() - back);
        if size == 1 {
            continue;
        }
        // A bit for each operand.
        let has = operands.clone().fold(0_u64, |bits, shape| {
            bits << 1 | u64::from(back <= shape.rank() && shape.size(shape.rank() - back) == size)
        });
        if kept.is_some_and(|kept| kept != has) {
            break;
        }
        (length, kept) = (length * size as u128, Some(has));
    }
    length
}

fn runs(operands: &[Facts], result: &Shape) -> u128 {
    u128::from(result.elements()) / run_length(operands.iter().map(|facts| &facts.shape), result)
}

fn elementwise(operands: &[Facts], result: &Facts, element: u128) -> u128 {
    (operands.len() as u128 + 1) * RUN_MACS * runs(operands, &result.shape) + element * elements(result)
}

fn each_row(x: &Facts, row: u128, element: u128) -> u128 {
    row * (elements(x) / x.shape.width() as u128) + element * elements(x)
}

/// `batch` products of (rows, terms) and (terms, columns).
struct Size {
    batch: u128,
    rows: u128,
    terms: u128,
    columns: u128,
}

fn matmul(operands: &[Facts], result: &Facts, is_packed: bool) -> u128 {
    let columns = result.shape.width() as u128;
    let all_rows = elements(result) / columns;
    let is_shared = operands[1].shape.rank() == 2;
    let rows = if is_shared { all_rows } else { result.shape.size(result.shape.rank() - 2) as u128 };
    let size = Size { batch: all_rows / rows, rows, terms: operands[0].shape.width() as u128, columns };
    product(operands, result.dtype, &size, if is_shared && is_packed { 0 } else { PACKED_MACS })
}

/// `packing` is of an element of the second factor.
fn product(factors: &[Facts], accumulator: DType, size: &Size, packing: u128) -> u128 {
    let Size { batch, rows, terms, columns } = *size;
    let blocks = columns.div_ceil(COLUMNS);
    let is_narrow = factors.iter().all(|factor| factor.dtype <= DType::Int16) && accumulator == DType::Int32;
    let each = if is_narrow && columns >= PANEL_COLUMNS_MIN && terms <= PANEL_TERMS_MAX {
        let padded = terms.next_multiple_of(PAIR) * columns.next_multiple_of(PANEL);
        let begun = if packing == 0 { COLUMNS_MACS } else { PANELS_MACS };
        begun * blocks + packing * terms * columns + rows * (PANEL_ROW_MACS * blocks + padded)
    } else {
        let packing = if packing == 0 { PACKED_MACS } else { packing };
        COLUMNS_MACS * blocks
            + packing * terms * columns
            + PLAIN_TERM_MACS * (1 + rows) * terms * blocks
            + rows * (PLAIN_ROW_MACS * blocks + PLAIN_MACS * terms * columns)
    };
    batch * each
}

fn pool(windows: &Windows, result: &Facts) -> u128 {
    let [batch, channels, height, _] = sizes(&result.shape);
    let window = windows.kernel[0] as u128 * windows.kernel[1] as u128;
    batch * channels * (PLANE_MACS + PLACE_MACS * window * height) + WINDOW_MACS * window * elements(result)
}
