// What a user of ethers does, against the node at argv[2] (HTTP) and argv[3] (WebSocket), with the key argv[4].
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
const require = createRequire(process.env.CLIENT_PACKAGES + '/package.json')
const { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider } = require('ethers')

const [, , httpUrl, webSocketUrl, key] = process.argv
const provider = new JsonRpcProvider(httpUrl)
provider.pollingInterval = 20
const wallet = new NonceManager(new Wallet(key, provider))
const address = await wallet.getAddress()

assert.ok((await provider.getBalance(address)) > 10n ** 18n)
let receipt = await (await wallet.sendTransaction({ to: '0x' + '13'.repeat(20), value: 5n })).wait()
assert.equal(receipt.status, 1)
assert.equal(receipt.gasUsed, 21000n)

const runtime = '600435805f55805f52600760205fa160205ff3'
const size = (runtime.length / 2).toString(16).padStart(2, '0')
const bytecode = `0x60${size}600c60003960${size}6000f3${runtime}`
const abi = ['function store(uint256 value) returns (uint256)', 'function fail() view']
const factory = new ContractFactory(abi, bytecode, wallet)
const contract = await (await factory.deploy()).waitForDeployment()
const target = await contract.getAddress()
assert.equal(await contract.store.staticCall(9n), 9n)
receipt = await (await contract.store(9n)).wait()
assert.equal(BigInt(await provider.getStorage(target, 0)), 9n)
assert.equal((await provider.getLogs({ address: target, fromBlock: receipt.blockNumber })).length, 1)
assert.ok((await provider.getFeeData()).maxFeePerGas > 0n)
assert.equal((await provider.getBlock('latest', true)).prefetchedTransactions.length, 1)
await assert.rejects(new Wallet(key, provider).sendTransaction({ to: target, nonce: 0 }), { code: 'NONCE_EXPIRED' })

// Error("no"): init code that reverts, so that the estimation does.
const failing = '0x62461bcd60e51b5f5260206004526002602452616e6f60f01b60445260645ffd'
await assert.rejects(provider.estimateGas({ from: address, data: failing }), (problem) => {
  assert.equal(problem.code, 'CALL_EXCEPTION')
  assert.equal(problem.reason, 'no')
  return true
})

const socket = new WebSocketProvider(webSocketUrl)
const seen = new Promise((resolve) => socket.on('block', resolve))
await socket.getNetwork()
await new Promise((resolve) => setTimeout(resolve, 200)) // the subscription has no promise of its own
await wallet.sendTransaction({ to: address, value: 1n })
assert.ok((await seen) > 0)
await socket.destroy()
provider.destroy()
console.log('ethers: ok')
process.exit(0)
