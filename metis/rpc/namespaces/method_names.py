"""
Which module has which methods, so that a module is imported when one of its methods is first called.

A node answers its first question before it has imported what the other two hundred methods need. What a
module registers is what stands here: the registry holds it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALIASES", "CONTROL_METHODS", "PUBLIC_METHODS"]

# fmt: off
PUBLIC_METHODS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "eth_info.register_info": (
        "eth_chainId", "eth_syncing", "eth_coinbase", "eth_mining", "eth_hashrate", "eth_protocolVersion",
        "eth_config", "eth_capabilities",
    ),
    "eth_state.register_state": (
        "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_getStorageValues",
        "eth_getProof", "eth_getAccountInfo", "eth_getAccount",
    ),
    "eth_blocks.register_blocks": (
        "eth_blockNumber", "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getHeaderByNumber",
        "eth_getHeaderByHash", "eth_getBlockReceipts", "eth_getBlockTransactionCountByNumber",
        "eth_getBlockTransactionCountByHash", "eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash",
        "eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex",
    ),
    "eth_transactions.register_transactions": (
        "eth_getTransactionByHash", "eth_getTransactionByBlockHashAndIndex",
        "eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionReceipt", "eth_getRawTransactionByHash",
        "eth_getRawTransactionByBlockHashAndIndex", "eth_getRawTransactionByBlockNumberAndIndex",
        "eth_getTransactionBySenderAndNonce", "eth_pendingTransactions",
    ),
    "eth_transactions.register_sending": (
        "eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_accounts", "eth_sendTransaction",
        "eth_sendTransactionSync", "eth_signTransaction", "eth_fillTransaction", "eth_sign", "personal_sign",
        "eth_requestAccounts", "eth_resend",
    ),
    "typed_data.register_typed_data": (
        "eth_signTypedData_v4", "eth_signTypedData_v3", "eth_signTypedData",
    ),
    "eth_fees.register_fees": (
        "eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_baseFee", "eth_blobBaseFee", "eth_feeHistory",
    ),
    "eth_calls.register_calls": (
        "eth_call", "eth_estimateGas", "eth_createAccessList",
    ),
    "eth_bundles.register_bundles": (
        "eth_callMany",
    ),
    "eth_simulate.register_simulation": (
        "eth_simulateV1",
    ),
    "eth_filters.register_filters": (
        "eth_getLogs", "eth_newFilter", "eth_newBlockFilter", "eth_newPendingTransactionFilter",
        "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter",
    ),
    "net.register_net": (
        "net_version", "net_listening", "net_peerCount", "eth_networkId",
    ),
    "web3.register_web3": (
        "web3_clientVersion", "web3_sha3",
    ),
    "txpool.register_txpool": (
        "txpool_status", "txpool_content", "txpool_contentFrom", "txpool_inspect",
    ),
    "debug_raw.register_debug_raw": (
        "debug_getRawBlock", "debug_getRawHeader", "debug_getRawReceipts", "debug_getRawTransaction",
        "debug_getRawTransactions",
    ),
    "debug_blocks.register_debug_blocks": (
        "debug_getBlockAccessList", "metis_explainBlock",
    ),
    "debug_state.register_debug_state": (
        "debug_codeByHash", "debug_dbGet", "debug_accountInfoAt",
    ),
    "debug_trace.register_debug_traces": (
        "debug_traceBlockByNumber", "debug_traceBlockByHash", "debug_traceBlock", "debug_traceTransaction",
        "debug_traceCall",
    ),
    "trace.register_trace": (
        "trace_block", "trace_transaction", "trace_get", "trace_filter", "trace_replayTransaction",
        "trace_replayBlockTransactions", "trace_call", "trace_callMany", "trace_rawTransaction",
    ),
    "ots.register_otterscan": (
        "ots_getApiLevel", "erigon_getHeaderByNumber", "ots_hasCode", "ots_getInternalOperations",
        "ots_traceTransaction", "ots_getTransactionError", "ots_getBlockDetails", "ots_getBlockDetailsByHash",
        "ots_getBlockTransactions", "ots_getTransactionBySenderAndNonce", "ots_getContractCreator",
        "ots_searchTransactionsBefore", "ots_searchTransactionsAfter",
    ),
})
"""The function of this package that registers them → methods that anyone may call."""

CONTROL_METHODS = (
    "anvil_setBalance", "anvil_addBalance", "anvil_setCode", "anvil_setNonce", "anvil_setStorageAt",
    "anvil_dealERC20", "anvil_setERC20Allowance", "anvil_impersonateAccount", "anvil_stopImpersonatingAccount",
    "anvil_autoImpersonateAccount", "eth_sendUnsignedTransaction", "anvil_mine", "evm_mine", "evm_mine_detailed",
    "anvil_getAutomine", "anvil_setAutomine", "anvil_getIntervalMining", "anvil_setIntervalMining",
    "anvil_setLoggingEnabled", "anvil_setCoinbase", "anvil_setBlockGasLimit", "anvil_setNextBlockBaseFeePerGas",
    "anvil_setMinGasPrice", "anvil_setNextBlockPrevRandao", "anvil_setChainId", "anvil_increaseTime",
    "anvil_setTime", "anvil_setNextBlockTimestamp", "anvil_setBlockTimestampInterval",
    "anvil_removeBlockTimestampInterval", "evm_snapshot", "evm_revert", "anvil_rollback", "anvil_reorg",
    "anvil_reset", "anvil_setRpcUrl", "anvil_dumpState", "anvil_loadState", "anvil_dropTransaction",
    "anvil_dropAllTransactions", "anvil_removePoolTransactions", "anvil_getBlobByHash",
    "anvil_getBlobsByTransactionHash", "anvil_nodeInfo", "anvil_metadata", "anvil_getGenesisTime",
    "anvil_getLastBlockWallTime",
)
"""Methods with which tests change the node, by their first names."""
# fmt: on

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "anvil_setBalance": ("hardhat_setBalance", "tenderly_setBalance"),
        "anvil_addBalance": ("hardhat_addBalance", "tenderly_addBalance"),
        "anvil_setCode": ("hardhat_setCode",),
        "anvil_setNonce": ("hardhat_setNonce", "evm_setAccountNonce"),
        "anvil_setStorageAt": ("hardhat_setStorageAt",),
        "anvil_dealERC20": ("anvil_setERC20Balance", "hardhat_dealERC20"),
        "anvil_impersonateAccount": ("hardhat_impersonateAccount",),
        "anvil_stopImpersonatingAccount": ("hardhat_stopImpersonatingAccount",),
        "anvil_autoImpersonateAccount": ("hardhat_autoImpersonateAccount",),
        "anvil_mine": ("hardhat_mine",),
        "evm_mine_detailed": ("anvil_mine_detailed",),
        "anvil_getAutomine": ("hardhat_getAutomine",),
        "anvil_setAutomine": ("evm_setAutomine",),
        "anvil_setIntervalMining": ("evm_setIntervalMining",),
        "anvil_setLoggingEnabled": ("hardhat_setLoggingEnabled",),
        "anvil_setCoinbase": ("hardhat_setCoinbase",),
        "anvil_setBlockGasLimit": ("evm_setBlockGasLimit",),
        "anvil_setNextBlockBaseFeePerGas": ("hardhat_setNextBlockBaseFeePerGas",),
        "anvil_setMinGasPrice": ("hardhat_setMinGasPrice",),
        "anvil_setNextBlockPrevRandao": ("hardhat_setPrevRandao",),
        "anvil_increaseTime": ("evm_increaseTime",),
        "anvil_setTime": ("evm_setTime",),
        "anvil_setNextBlockTimestamp": ("evm_setNextBlockTimestamp",),
        "evm_snapshot": ("anvil_snapshot",),
        "evm_revert": ("anvil_revert",),
        "anvil_dumpState": ("hardhat_dumpState",),
        "anvil_loadState": ("hardhat_loadState",),
        "anvil_reset": ("hardhat_reset",),
        "anvil_dropTransaction": ("hardhat_dropTransaction",),
        "anvil_dropAllTransactions": ("hardhat_dropAllTransactions", "debug_clearTxpool"),
        "anvil_metadata": ("hardhat_metadata",),
    }
)
"""Other names of the same method, which do exactly the same."""
