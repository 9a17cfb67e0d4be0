// What a user of viem does, against the node at argv[2] (HTTP) and argv[3] (WebSocket), with the key argv[4].
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const require = createRequire(process.env.CLIENT_PACKAGES + '/package.json')
const { createPublicClient, createWalletClient, defineChain, http, parseAbi, webSocket } = require('viem')
const { privateKeyToAccount } = require('viem/accounts')

const [, , httpUrl, webSocketUrl, key] = process.argv
const probe = createPublicClient({ transport: http(httpUrl) })
const chain = defineChain({
  id: await probe.getChainId(),
  name: 'metis',
  nativeCurrency: { name: 'Metis', symbol: 'METIS', decimals: 18 },
  rpcUrls: { default: { http: [httpUrl], webSocket: [webSocketUrl] } },
})
const account = privateKeyToAccount(key)
const reader = createPublicClient({ chain, transport: http(httpUrl), pollingInterval: 10 })
const wallet = createWalletClient({ account, chain, transport: http(httpUrl) })

assert.ok((await reader.getBalance({ address: account.address })) > 10n ** 18n)
let hash = await wallet.sendTransaction({ to: '0x' + '12'.repeat(20), value: 5n })
let receipt = await reader.waitForTransactionReceipt({ hash })
assert.equal(receipt.status, 'success')
assert.equal(receipt.gasUsed, 21000n)
assert.equal((await reader.getTransaction({ hash })).value, 5n)

const runtime = '600435805f55805f52600760205fa160205ff3'
const size = (runtime.length / 2).toString(16).padStart(2, '0')
const bytecode = `0x60${size}600c60003960${size}6000f3${runtime}`
const abi = parseAbi(['function store(uint256 value) returns (uint256)'])
hash = await wallet.deployContract({ abi, bytecode })
receipt = await reader.waitForTransactionReceipt({ hash })
const address = receipt.contractAddress
const { request, result } = await reader.simulateContract({ account, address, abi, functionName: 'store', args: [9n] })
assert.equal(result, 9n)
receipt = await reader.waitForTransactionReceipt({ hash: await wallet.writeContract(request) })
assert.equal(BigInt(await reader.getStorageAt({ address, slot: '0x0' })), 9n)
const logs = await reader.getLogs({ address, fromBlock: receipt.blockNumber })
assert.equal(logs.length, 1)
assert.equal(logs[0].transactionHash, receipt.transactionHash)
assert.equal((await reader.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })).reward.length, 2)
assert.equal((await reader.getProof({ address, storageKeys: ['0x' + '0'.repeat(64)] })).storageProof[0].value, 9n)
assert.ok((await reader.estimateFeesPerGas()).maxFeePerGas > 0n)
assert.equal((await reader.getBlock({ blockTag: 'pending' })).number, (await reader.getBlockNumber({ cacheTime: 0 })) + 1n)

const code = '0x62461bcd60e51b5f5260206004526002602452616e6f60f01b60445260645ffd'
await assert.rejects(
  reader.readContract({ address, abi: parseAbi(['function f() view']), functionName: 'f', stateOverride: [{ address, code }] }),
  /no/,
)
await assert.rejects(wallet.sendTransaction({ to: address, nonce: 0 }), /[Nn]once/)

const socket = createPublicClient({ chain, transport: webSocket(webSocketUrl) })
const seen = new Promise((resolve, reject) => {
  const stop = socket.watchBlocks({ onBlock: (block) => (stop(), resolve(block)), onError: reject })
})
await socket.getChainId()
await new Promise((resolve) => setTimeout(resolve, 200)) // the subscription has no promise of its own
await wallet.sendTransaction({ to: account.address, value: 1n })
assert.ok((await seen).number > 0n)
console.log('viem: ok')
process.exit(0)
