//! A graph's bytes: one encoding for each graph, and nothing else decodes.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    error::{DecodeError, Field, Problem},
    operator::{Attribute, Kind, Values, schema_of},
    types::{DIMENSION_MAX, DType, Declaration, ELEMENTS_MAX, Facts, Graph, Node, Output, RANK_MAX, Shape},
};

/// Most bytes of a graph.
pub const GRAPH_BYTES_MAX: usize = 4 * 1024 * 1024;
const MAGIC: &[u8] = b"METISAIG";
const VERSION: u64 = 1;
const NAME_BYTES_MAX: u64 = 64;
/// The parts with the least and the greatest number of items of each.
const COUNTS: [(&str, u64, u64); 5] =
    [("inputs", 0, 64), ("states", 0, 512), ("constants", 0, 16_384), ("nodes", 0, 16_384), ("outputs", 1, 64)];

struct Reader<'a> {
    raw: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, field: Field, wanted: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.raw[self.position..];
        let Some(taken) = rest.get(..wanted) else {
            return Err(self.here(field, Problem::Missing { wanted, left: rest.len() }));
        };
        self.position += wanted;
        Ok(taken)
    }

    const fn here(&self, field: Field, problem: Problem) -> DecodeError {
        DecodeError { field, problem, offset: self.position }
    }

    fn unsigned(&mut self, field: Field, size_bytes: usize) -> Result<u64, DecodeError> {
        Ok(self.take(field, size_bytes)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, field: Field) -> Result<i64, DecodeError> {
        Ok(self.unsigned(field, 8)? as i64)
    }

    fn count(&mut self, field: Field, size_bytes: usize, lo: u64, hi: u64) -> Result<u64, DecodeError> {
        let offset = self.position;
        let count = self.unsigned(field, size_bytes)?;
        if !(lo..=hi).contains(&count) {
            return Err(DecodeError { field, problem: Problem::Count { count, lo, hi }, offset });
        }
        Ok(count)
    }

    fn name(&mut self, field: Field, taken: &mut BTreeSet<Vec<u8>>) -> Result<Vec<u8>, DecodeError> {
        let offset = self.position;
        let length = self.count(field, 1, 1, NAME_BYTES_MAX)?;
        let name = self.take(field, length as usize)?.to_vec();
        let wrong = |problem| Err(DecodeError { field, problem, offset });
        if !name.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            return wrong(Problem::Name);
        }
        if !taken.insert(name.clone()) {
            return wrong(Problem::NameTwice);
        }
        Ok(name)
    }

    fn dtype(&mut self, field: Field) -> Result<DType, DecodeError> {
        let offset = self.position;
        let code = self.take(field, 1)?[0];
        DType::of_code(i64::from(code)).ok_or(DecodeError { field, problem: Problem::DType(code), offset })
    }

    fn tensor(&mut self, field: Field, count: usize) -> Result<u32, DecodeError> {
        let offset = self.position;
        let tensor = self.unsigned(field, 4)? as u32;
        check_tensor(field, offset, tensor, count)?;
        Ok(tensor)
    }

    fn facts(&mut self, field: Field) -> Result<Facts, DecodeError> {
        let dtype = self.dtype(field.leaf("dtype"))?;
        let shape_offset = self.position;
        let shape_field = field.leaf("shape");
        let rank = self.count(shape_field, 1, 1, RANK_MAX as u64)? as usize;
        let mut dimensions = [1; RANK_MAX];
        for (axis, dimension) in dimensions[..rank].iter_mut().enumerate() {
            *dimension = self.unsigned(shape_field.element(axis), 4)? as u32;
        }
        let range_offset = self.position;
        let (lo, hi) = (self.signed(field.leaf("lo"))?, self.signed(field.leaf("hi"))?);
        let wrong = |field, problem, offset| Err(DecodeError { field, problem, offset });
        for dimension in &dimensions[..rank] {
            let (value, hi) = (i64::from(*dimension), DIMENSION_MAX as i64);
            if !(1..=hi).contains(&value) {
                return wrong(shape_field, Problem::Range { value, lo: 1, hi }, shape_offset);
            }
        }
        let shape = Shape::new(&dimensions[..rank]);
        if shape.elements() > ELEMENTS_MAX {
            return wrong(shape_field, Problem::Elements(shape.elements()), shape_offset);
        }
        for (name, value, least, offset) in [("lo", lo, dtype.lo(), range_offset), ("hi", hi, lo, range_offset + 8)] {
            if !(least..=dtype.hi()).contains(&value) {
                return wrong(field.leaf(name), Problem::Range { value, lo: least, hi: dtype.hi() }, offset);
            }
        }
        Ok(Facts { dtype, shape, lo, hi })
    }

    fn node(&mut self, field: Field, tensor_count: usize) -> Result<(Node, usize), DecodeError> {
        let offset = self.position;
        let code = self.take(field.leaf("operator"), 1)?[0];
        let Some(schema) = schema_of(code) else {
            return Err(DecodeError { field: field.leaf("operator"), problem: Problem::Operator(code), offset });
        };
        let inputs_field = field.leaf("inputs");
        let count = self.count(inputs_field, 1, schema.inputs_lo.into(), schema.inputs_hi.into())? as usize;
        let inputs_offset = self.position;
        let mut inputs = Vec::with_capacity(count);
        for index in 0..count {
            inputs.push(self.unsigned(inputs_field.element(index), 4)? as u32);
        }
        let mut values = [([0; RANK_MAX], 1); 5];
        let mut offsets = [0; 5];
        for (place, attribute) in schema.attributes.iter().enumerate() {
            offsets[place] = self.position;
            values[place] = self.attribute(field, attribute)?;
        }
        for (index, tensor) in inputs.iter().enumerate() {
            check_tensor(inputs_field.element(index), inputs_offset + 4 * index, *tensor, tensor_count)?;
        }
        for ((attribute, (given, count)), offset) in schema.attributes.iter().zip(&values).zip(offsets) {
            let Attribute { lo, hi, .. } = *attribute;
            if let Some(&value) = given[..*count].iter().find(|value| !(lo..=hi).contains(*value)) {
                let field = field.leaf(attribute.name);
                return Err(DecodeError { field, problem: Problem::Range { value, lo, hi }, offset });
            }
        }
        let operator = Values(&values[..schema.attributes.len()]).operator(code);
        Ok((Node { operator, inputs }, schema.outputs.into()))
    }

    fn attribute(&mut self, field: Field, attribute: &Attribute) -> Result<([i64; RANK_MAX], usize), DecodeError> {
        let field = field.leaf(attribute.name);
        let mut values = [0; RANK_MAX];
        let mut count = 1;
        match attribute.kind {
            Kind::Flag => values[0] = i64::from(self.take(field, 1)?[0]),
            Kind::Type => values[0] = self.dtype(field)? as i64,
            Kind::Integer => values[0] = self.signed(field)?,
            Kind::List { least, most } => {
                count = self.count(field, 1, least.into(), most.into())? as usize;
                for (index, value) in values[..count].iter_mut().enumerate() {
                    *value = self.signed(field.element(index))?;
                }
            }
        }
        Ok((values, count))
    }
}

const fn check_tensor(field: Field, offset: usize, tensor: u32, count: usize) -> Result<(), DecodeError> {
    if tensor as usize >= count {
        return Err(DecodeError { field, problem: Problem::NotThere { tensor, count }, offset });
    }
    Ok(())
}

/// The graph that bytes encode.
///
/// Memory and time are bounded by the number of bytes: every count is checked against its limit, and nothing is made
/// for an item before its bytes are there.
///
/// # Errors
/// The bytes are not the encoding of a graph: the first field that is wrong, and its offset.
pub fn decode(raw: &[u8]) -> Result<Graph, DecodeError> {
    let mut reader = Reader { raw, position: 0 };
    if raw.len() > GRAPH_BYTES_MAX {
        let problem = Problem::Limit { value: raw.len() as u128, limit: GRAPH_BYTES_MAX as u128 };
        return Err(reader.here(Field::whole("graph"), problem));
    }
    if reader.take(Field::whole("magic"), MAGIC.len())? != MAGIC {
        return Err(DecodeError { field: Field::whole("magic"), problem: Problem::Magic, offset: 0 });
    }
    let offset = reader.position;
    let version = reader.unsigned(Field::whole("version"), 2)?;
    if version != VERSION {
        return Err(DecodeError { field: Field::whole("version"), problem: Problem::Version(version), offset });
    }
    let mut counts = [0; 5];
    for (count, (part, lo, hi)) in counts.iter_mut().zip(COUNTS) {
        *count = reader.count(Field::whole(part), 4, lo, hi)? as usize;
    }
    let mut taken = BTreeSet::new();
    let mut declared = [Vec::new(), Vec::new(), Vec::new()];
    for (place, tensors) in declared.iter_mut().enumerate() {
        for index in 0..counts[place] {
            let field = Field::item(COUNTS[place].0, index);
            let name = if place < 2 { reader.name(field.leaf("name"), &mut taken)? } else { Vec::new() };
            tensors.push(Declaration { name, facts: reader.facts(field)? });
        }
    }
    let [inputs, states, constants] = declared;
    let mut tensor_count = counts[0] + counts[1] + counts[2];
    let mut nodes = Vec::new();
    for index in 0..counts[3] {
        let (node, outputs) = reader.node(Field::item("nodes", index), tensor_count)?;
        nodes.push(node);
        tensor_count += outputs;
    }
    let mut updates = Vec::new();
    for index in 0..counts[1] {
        updates.push(reader.tensor(Field::item("updates", index), tensor_count)?);
    }
    taken.clear();
    let mut outputs = Vec::new();
    for index in 0..counts[4] {
        let field = Field::item("outputs", index);
        let name = reader.name(field.leaf("name"), &mut taken)?;
        outputs.push(Output { name, tensor: reader.tensor(field.leaf("tensor"), tensor_count)? });
    }
    if reader.position != raw.len() {
        return Err(reader.here(Field::whole("graph"), Problem::Trailing(raw.len() - reader.position)));
    }
    Ok(Graph { inputs, states, constants, nodes, updates, outputs })
}
