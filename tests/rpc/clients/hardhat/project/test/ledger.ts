import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from 'hardhat'
import { getAddress } from 'viem'
import LedgerModule from '../ignition/modules/Ledger.js'

const BOB = getAddress('0x0000000000000000000000000000000000000b0b')

// The node's own accounts, and a key of the user.
for (const name of ['metis', 'metisWithKey']) {
  describe(name, async () => {
    const { viem, ignition, provider } = await network.create(name)
    const reader = await viem.getPublicClient()
    const [wallet] = await viem.getWalletClients()

    it('deploys, calls and finds the events', async () => {
      const ledger = await viem.deployContract('Ledger', [1_000n])
      const sent = await ledger.write.move([BOB, 7n])
      const receipt = await reader.waitForTransactionReceipt({ hash: sent })
      assert.equal(receipt.status, 'success')
      assert.equal(await ledger.read.balanceOf([BOB]), 7n)
      assert.equal(await ledger.read.balanceOf([wallet.account.address]), 993n)
      const [moved] = await ledger.getEvents.Moved({}, { fromBlock: receipt.blockNumber })
      assert.deepEqual(moved.args, { from: getAddress(wallet.account.address), to: BOB, amount: 7n })
    })

    it('says why a call is refused', async () => {
      const ledger = await viem.deployContract('Ledger', [1n])
      await assert.rejects(ledger.write.move([BOB, 2n]), /Insufficient\(uint256 available, uint256 wanted\)[\s(]*1, 2/)
    })

    it('deploys a module with ignition', async () => {
      const { ledger } = await ignition.deploy(LedgerModule, { deploymentId: name })
      assert.equal(await ledger.read.balanceOf([BOB]), 7n)
    })

    it('asks the node what it is', async () => {
      assert.match(await provider.request({ method: 'web3_clientVersion' }), /^metis\//)
    })
  })
}
