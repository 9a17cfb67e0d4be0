//! The contracts of the gigagas blocks: their code, and the storage that they would have after use.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};

/// Code of deployed contracts, with placeholders for what their constructors would fill in.
#[derive(Clone, Debug)]
pub struct Contracts {
    pub(crate) token: Bytes,
    pub(crate) weth: Bytes,
    pub(crate) factory: Bytes,
    pub(crate) pool: Bytes,
    pub(crate) router: Bytes,
    pub(crate) single_swap: Bytes,
}

/// Why the contracts are not there.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ContractsError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Contracts {
    /// Reads the folder that the fixtures have for them: hexadecimal text, a contract a file.
    ///
    /// # Errors
    /// [`ContractsError`] for the first file that is not there or is no hexadecimal text.
    pub fn read(folder: &Path) -> Result<Self, ContractsError> {
        let code = |name: &str| {
            let path = folder.join(name).with_extension("hex");
            let error = |problem: String| ContractsError { file: path.display().to_string(), problem };
            let text = std::fs::read_to_string(&path).map_err(|failure| error(failure.to_string()))?;
            hex::decode(text.trim()).map(Bytes::from).map_err(|failure| error(failure.to_string()))
        };
        Ok(Self {
            token: code("ERC20Token")?,
            weth: code("WETH9")?,
            factory: code("UniswapV3Factory")?,
            pool: code("UniswapV3Pool")?,
            router: code("SwapRouter")?,
            single_swap: code("SingleSwap")?,
        })
    }
}

/// Code with placeholders replaced by words as long as they are.
pub(crate) fn with_immutables(code: &Bytes, immutables: &[(&str, &[u8])]) -> Bytes {
    let mut code = code.to_vec();
    for (placeholder, value) in immutables {
        // UNWRAP: the placeholders are constants of this crate.
        let placeholder = hex::decode(placeholder).unwrap();
        let mut at = 0;
        while at + placeholder.len() <= code.len() {
            if code[at..].starts_with(&placeholder) {
                code[at..at + placeholder.len()].copy_from_slice(value);
                at += placeholder.len();
            } else {
                at += 1;
            }
        }
    }
    code.into()
}

/// `transfer(address,uint256)`.
pub(crate) const TOKEN_TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// A selector and words behind it.
pub(crate) fn call_data(selector: [u8; 4], words: &[U256]) -> Bytes {
    let mut data = selector.to_vec();
    for word in words {
        data.extend(word.to_be_bytes::<32>());
    }
    data.into()
}

/// An address as a word.
pub(crate) fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// Where a mapping of Solidity's keeps a value.
pub(crate) fn mapping_slot(slot: u64, keys: &[U256]) -> U256 {
    let mut at = B256::from(U256::from(slot));
    for key in keys {
        at = keccak256([key.to_be_bytes::<32>(), at.0].concat());
    }
    at.into()
}

/// Storage of `ERC20Token`: balances, allowances, supply, name, symbol, decimals in slots 0 to 5.
#[derive(Clone, Debug, Default)]
pub(crate) struct Token(BTreeMap<U256, U256>);

impl Token {
    pub(crate) fn set_balance(&mut self, owner: Address, amount: u64) {
        self.set_large_balance(owner, U256::from(amount));
    }

    pub(crate) fn set_large_balance(&mut self, owner: Address, amount: U256) {
        self.0.insert(mapping_slot(0, &[word(owner)]), amount);
    }

    pub(crate) fn set_allowance(&mut self, owner: Address, spender: Address, amount: U256) {
        self.0.insert(mapping_slot(1, &[word(owner), word(spender)]), amount);
    }

    pub(crate) fn into_storage(mut self) -> BTreeMap<U256, U256> {
        self.0.insert(U256::from(2), U256::from(222_222_000_000_000_000_000_000_u128));
        self.0.insert(U256::from(5), U256::from(18));
        self.0
    }
}
