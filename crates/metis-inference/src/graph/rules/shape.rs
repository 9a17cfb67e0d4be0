//! Operators that only move elements.

use super::{Effect, broadcast_shapes, checked_shape};
use crate::graph::{
    error::Problem,
    types::{Facts, RANK_MAX, Shape},
};

/// The same elements in another shape.
fn moved(x: &Facts, shape: Shape) -> Effect {
    Effect::one(Facts { shape, ..*x })
}

/// The sizes of a shape, wide enough to add.
fn sizes(shape: &Shape) -> [u64; RANK_MAX] {
    let mut sizes = [1; RANK_MAX];
    for (size, own) in sizes.iter_mut().zip(shape.dimensions()) {
        *size = u64::from(*own);
    }
    sizes
}

pub(super) fn reshape(x: &Facts, to: Shape) -> Result<Effect, Problem> {
    if to.elements() != x.shape.elements() {
        return Err(Problem::Refused("the shapes have different numbers of elements"));
    }
    Ok(moved(x, checked_shape(&sizes(&to)[..to.rank()])?))
}

pub(super) fn transpose(x: &Facts, order: Shape) -> Result<Effect, Problem> {
    let mut seen = [false; RANK_MAX];
    let mut shape = x.shape;
    for (place, &axis) in order.dimensions().iter().enumerate() {
        let axis = axis as usize;
        if order.rank() != x.shape.rank() || axis >= x.shape.rank() || core::mem::replace(&mut seen[axis], true) {
            return Err(Problem::Refused("it is no order of the dimensions"));
        }
        shape = shape.with(place, x.shape.dimensions()[axis]);
    }
    Ok(moved(x, shape))
}

pub(super) fn slice(x: &Facts, starts: Shape, stops: Shape, steps: Shape) -> Result<Effect, Problem> {
    let rank = x.shape.rank();
    if [starts, stops, steps].iter().any(|list| list.rank() != rank) {
        return Err(Problem::Refused("starts, stops and steps must each have a value for every dimension"));
    }
    let mut shape = x.shape;
    for axis in 0..rank {
        let [start, stop, step] = [starts, stops, steps].map(|list| list.dimensions()[axis]);
        if start >= stop || stop > x.shape.dimensions()[axis] {
            return Err(Problem::Refused("it is no part of the dimension"));
        }
        shape = shape.with(axis, (stop - start - 1) / step + 1);
    }
    Ok(moved(x, shape))
}

/// Whether two shapes are the same but for the size of one axis, which both have.
fn differ_only_at(a: &Shape, b: &Shape, axis: usize) -> bool {
    axis < a.rank() && a.rank() == b.rank() && a.with(axis, 1) == b.with(axis, 1)
}

pub(super) fn concat(operands: &[Facts], axis: usize) -> Result<Effect, Problem> {
    let first = operands[0];
    if axis >= first.shape.rank() {
        return Err(Problem::Refused("the operand has no such axis"));
    }
    if operands.iter().any(|x| x.dtype != first.dtype) {
        return Err(Problem::Refused("tensors of different types"));
    }
    if operands.iter().any(|x| !differ_only_at(&x.shape, &first.shape, axis)) {
        return Err(Problem::Refused("the operands differ outside the axis"));
    }
    let mut dimensions = sizes(&first.shape);
    dimensions[axis] = operands.iter().map(|x| x.shape.size(axis) as u64).sum();
    let shape = checked_shape(&dimensions[..first.shape.rank()])?;
    let joined =
        operands.iter().fold(first, |joined, x| Facts { lo: joined.lo.min(x.lo), hi: joined.hi.max(x.hi), ..joined });
    Ok(moved(&joined, shape))
}

pub(super) fn broadcast(x: &Facts, to: Shape) -> Result<Effect, Problem> {
    if broadcast_shapes(&[x.shape, to])? != to {
        return Err(Problem::Refused("the operand does not broadcast to the shape"));
    }
    Ok(moved(x, to))
}

pub(super) fn gather(table: &Facts, places: &Facts) -> Result<Effect, Problem> {
    if places.lo < 0 || places.hi >= table.shape.size(0) as i64 {
        return Err(Problem::Refused("an index may be outside the table"));
    }
    let mut dimensions = [1; 2 * RANK_MAX];
    let rank = places.shape.rank() + table.shape.rank() - 1;
    let given = places.shape.dimensions().iter().chain(&table.shape.dimensions()[1..]);
    for (dimension, size) in dimensions.iter_mut().zip(given) {
        *dimension = u64::from(*size);
    }
    Ok(moved(table, checked_shape(&dimensions[..rank])?))
}

pub(super) fn cache_append(operands: &[Facts], axis: usize) -> Result<Effect, Problem> {
    let (cache, x, place) = (&operands[0], &operands[1], &operands[2]);
    if x.dtype != cache.dtype {
        return Err(Problem::Refused("what is appended is not of the cache's type"));
    }
    if !differ_only_at(&x.shape, &cache.shape, axis) {
        return Err(Problem::Refused("what is appended differs from the cache outside the axis"));
    }
    if place.shape.dimensions() != [1] {
        return Err(Problem::Refused("the position's shape must be (1,)"));
    }
    let last = i128::from(place.hi) + x.shape.size(axis) as i128;
    if place.lo < 0 || last > cache.shape.size(axis) as i128 {
        return Err(Problem::Refused("the appended part may leave the cache"));
    }
    let joined = Facts { lo: cache.lo.min(x.lo), hi: cache.hi.max(x.hi), ..*cache };
    Ok(moved(&joined, cache.shape))
}
