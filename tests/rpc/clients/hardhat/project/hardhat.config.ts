import ignition from '@nomicfoundation/hardhat-ignition-viem'
import testRunner from '@nomicfoundation/hardhat-node-test-runner'
import viem from '@nomicfoundation/hardhat-viem'
import { fileURLToPath } from 'node:url'
import { configVariable, defineConfig } from 'hardhat/config'

export default defineConfig({
  plugins: [viem, ignition, testRunner],
  // The compiler from npm: hardhat would download one.
  solidity: { version: '0.8.37', path: fileURLToPath(import.meta.resolve('solc/soljson.js')), settings: { evmVersion: 'osaka' } },
  networks: {
    metis: { type: 'http', chainType: 'l1', url: configVariable('METIS_URL') },
    metisWithKey: {
      type: 'http',
      chainType: 'l1',
      url: configVariable('METIS_URL'),
      accounts: [configVariable('METIS_KEY')],
    },
  },
})
