//! Arguments that only the node's methods take.

use alloy_primitives::B256;
use metis_chain::{logs::LogFilter, mempool::MempoolConfig};
use metis_node::BlockId;
use metis_state_transition::DevelopmentRules;
use pyo3::{prelude::*, types::PyInt};

use crate::{
    convert::{Fixed, attribute},
    errors::decode_error,
};

/// A block number, or a block hash.
pub struct BlockReference(pub BlockId);

impl<'a, 'py> FromPyObject<'a, 'py> for BlockReference {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<PyInt>() {
            return Ok(Self(BlockId::Number(object.extract()?)));
        }
        let Fixed(hash) = object.extract::<Fixed<32>>()?;
        Ok(Self(BlockId::Hash(hash.into())))
    }
}

/// Topics by position; `None` stands for any.
fn topics(wanted: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<B256>>> {
    let mut positions = Vec::new();
    for position in wanted.try_iter()? {
        let any: Option<Vec<Fixed<32>>> = position?
            .extract()
            .map_err(|error: PyErr| decode_error("filter", "topics", &error.value(wanted.py()).to_string(), None))?;
        positions.push(any.unwrap_or_default().into_iter().map(|Fixed(topic)| topic.into()).collect());
    }
    Ok(positions)
}

/// Limits of the mempool from an object with some of its attributes; the others keep their
/// defaults.
pub fn pool_config(limits: Option<&Bound<'_, PyAny>>) -> PyResult<MempoolConfig> {
    const SUBJECT: &str = "pool limits";
    let mut config = MempoolConfig::default();
    let Some(limits) = limits else { return Ok(config) };
    config.count_max = attribute(limits, SUBJECT, "transaction_count_max")?;
    config.sender_count_max = attribute(limits, SUBJECT, "sender_count_max")?;
    config.transaction_bytes_max = attribute(limits, SUBJECT, "transaction_size_bytes_max")?;
    config.price_bump_percent = attribute(limits, SUBJECT, "price_bump_percent")?;
    Ok(config)
}

/// What a chain for development leaves out of Ethereum's rules; nothing without an object.
pub fn development_rules(rules: Option<&Bound<'_, PyAny>>) -> PyResult<DevelopmentRules> {
    const SUBJECT: &str = "development rules";
    let Some(rules) = rules else { return Ok(DevelopmentRules::default()) };
    Ok(DevelopmentRules {
        unsigned_may_have_code: attribute(rules, SUBJECT, "unsigned_may_have_code")?,
        code_size_bytes_max: attribute(rules, SUBJECT, "code_size_bytes_max")?,
    })
}

/// Which logs are wanted.
pub fn log_filter(addresses: Vec<Fixed<20>>, wanted: &Bound<'_, PyAny>) -> PyResult<LogFilter> {
    let addresses = addresses.into_iter().map(|address| address.0.into()).collect();
    Ok(LogFilter { addresses, topics: topics(wanted)? })
}
