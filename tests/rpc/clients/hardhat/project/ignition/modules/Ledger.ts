import { buildModule } from '@nomicfoundation/hardhat-ignition/modules'

export default buildModule('LedgerModule', (module) => {
  const ledger = module.contract('Ledger', [1_000n])
  module.call(ledger, 'move', ['0x0000000000000000000000000000000000000b0b', 7n])
  return { ledger }
})
