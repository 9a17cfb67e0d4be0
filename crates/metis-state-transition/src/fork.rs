//! Hard forks, in the order they were activated.

use revm::primitives::hardfork::SpecId;

/// A hard fork that changed execution rules.
///
/// Forks that changed only difficulty (Muir Glacier, …) are not listed; blob-parameter-only forks
/// (EIP-7892) are entries of the blob schedule, not forks here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the documentation
pub enum Fork {
    Frontier,
    Homestead,
    TangerineWhistle,
    SpuriousDragon,
    Byzantium,
    Constantinople,
    Petersburg,
    Istanbul,
    Berlin,
    London,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
}

/// A fork name that is not in [`Fork::ALL`] nor an alias of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFork;

impl Fork {
    /// Every fork, oldest first.
    pub const ALL: [Self; 15] = [
        Self::Frontier,
        Self::Homestead,
        Self::TangerineWhistle,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::Berlin,
        Self::London,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
    ];

    /// Canonical name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "Frontier",
            Self::Homestead => "Homestead",
            Self::TangerineWhistle => "TangerineWhistle",
            Self::SpuriousDragon => "SpuriousDragon",
            Self::Byzantium => "Byzantium",
            Self::Constantinople => "Constantinople",
            Self::Petersburg => "Petersburg",
            Self::Istanbul => "Istanbul",
            Self::Berlin => "Berlin",
            Self::London => "London",
            Self::Paris => "Paris",
            Self::Shanghai => "Shanghai",
            Self::Cancun => "Cancun",
            Self::Prague => "Prague",
            Self::Osaka => "Osaka",
        }
    }

    /// The fork with this canonical name, or with one of the aliases that test suites use
    /// (`EIP150`, `EIP158`, `ConstantinopleFix`, `Merge`).
    ///
    /// # Errors
    /// [`UnknownFork`] when there is none.
    pub fn from_name(name: &str) -> Result<Self, UnknownFork> {
        match name {
            "EIP150" => return Ok(Self::TangerineWhistle),
            "EIP158" => return Ok(Self::SpuriousDragon),
            "ConstantinopleFix" => return Ok(Self::Petersburg),
            "Merge" => return Ok(Self::Paris),
            _ => {}
        }
        Self::ALL.into_iter().find(|fork| fork.name() == name).ok_or(UnknownFork)
    }

    /// The rule set of the interpreter. Constantinople is Petersburg plus the SSTORE metering of
    /// EIP-1283, which `evm.rs` adds back.
    pub const fn spec_id(self) -> SpecId {
        match self {
            Self::Frontier => SpecId::FRONTIER,
            Self::Homestead => SpecId::HOMESTEAD,
            Self::TangerineWhistle => SpecId::TANGERINE,
            Self::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
            Self::Byzantium => SpecId::BYZANTIUM,
            Self::Constantinople | Self::Petersburg => SpecId::PETERSBURG,
            Self::Istanbul => SpecId::ISTANBUL,
            Self::Berlin => SpecId::BERLIN,
            Self::London => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }
}
