// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IInference} from "../IInference.sol";

/// The cheat codes of forge that are used here.
interface ForgeVm {
    function allowCheatcodes(address account) external;
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory value);
    function etch(address target, bytes calldata code) external;
    function rpc(string calldata urlOrAlias, string calldata method, string calldata params)
        external
        returns (bytes memory result);
    function toString(address value) external pure returns (string memory text);
    function toString(bytes calldata value) external pure returns (string memory text);
}

ForgeVm constant forgeVm = ForgeVm(address(uint160(uint256(keccak256("hevm cheat code")))));
address constant INFERENCE = 0x4d45544953000000000000000000000000000001;
address constant VECTORS = 0x4D45544953000000000000000000000000000002;

/// @title Calls of models in tests of forge
/// @notice `MetisInference.install()` in `setUp` makes a running Metis node answer them: the one at METIS_URL, or at
///         http://127.0.0.1:8545. Run forge with `--fork-url` or without.
/// @dev Models, their prices and their owners are the node's. What is paid stays at the precompile, for a test has no
///      end of a block; gas is what the node's call took; in static calls there is no log.
library MetisInference {
    function install() internal {
        _install(INFERENCE);
        _install(VECTORS);
    }

    function _install(address target) private {
        forgeVm.etch(target, type(Proxy).runtimeCode);
        forgeVm.allowCheatcodes(target);
    }
}

/// What stands at the precompiles' addresses in a test: it asks the node.
contract Proxy {
    address private constant PAYER = address(uint160(uint256(keccak256("payer of a question"))));

    receive() external payable {
        revert IInference.MalformedCall();
    }

    fallback() external payable {
        (bool success, uint256 used, bytes memory output) = _ask(msg.sender, address(this), msg.data, msg.value);
        uint256 left = gasleft();
        if (used >= left) {
            assembly {
                invalid()
            }
        }
        // As much gas as the call took there, so that limits and reports are about right.
        while (gasleft() > left - used) {}
        if (!success) {
            assembly {
                revert(add(output, 32), mload(output))
            }
        }
        if (address(this) == INFERENCE) {
            // In a static call this does nothing.
            (bool noted,) = INFERENCE.call(abi.encodePacked(NOTE, abi.encode(msg.sender, msg.data, output)));
            noted;
        }
        assembly {
            return(add(output, 32), mload(output))
        }
    }

    bytes4 private constant NOTE = Proxy.note.selector;

    /// Emits what the chain would: only for itself.
    function note(address caller, bytes calldata data, bytes calldata output) external {
        require(msg.sender == INFERENCE && address(this) == INFERENCE, "only the precompile");
        if (bytes4(data) == IInference.infer.selector) {
            (bytes32 model, bytes memory input) = abi.decode(data[4:], (bytes32, bytes));
            _emit(model, caller, input, abi.decode(output, (bytes)));
        } else if (bytes4(data) == IInference.inferMany.selector) {
            (bytes32 model, bytes[] memory inputs) = abi.decode(data[4:], (bytes32, bytes[]));
            bytes[] memory outputs = abi.decode(output, (bytes[]));
            for (uint256 place = 0; place < inputs.length; place++) _emit(model, caller, inputs[place], outputs[place]);
        }
    }

    function _emit(bytes32 model, address caller, bytes memory input, bytes memory output) private {
        (,, bytes memory answer) = _ask(caller, INFERENCE, abi.encodeCall(IInference.modelInfo, (model)), 0);
        IInference.ModelInfo memory info = abi.decode(answer, (IInference.ModelInfo));
        emit IInference.Inferred(
            model, info.owner, caller, keccak256(input), keccak256(output), info.macs, info.priceWei
        );
    }

    /// What the node's precompile answers to a caller, which is put there for the call.
    function _ask(address who, address target, bytes memory data, uint256 value)
        private
        returns (bool success, uint256 used, bytes memory output)
    {
        string memory caller = forgeVm.toString(who);
        string memory payer = forgeVm.toString(PAYER);
        string memory call_ = string.concat(
            '{"from":"', payer, '","to":"', caller, '","value":"', _quantity(value), '","data":"',
            forgeVm.toString(abi.encode(target, data)), '"}'
        );
        string memory state = string.concat(
            '{"', payer, '":{"balance":"', _quantity(value), '"},"', caller, '":{"code":"',
            forgeVm.toString(type(Asker).runtimeCode), '"}}'
        );
        string memory url = forgeVm.envOr("METIS_URL", string("http://127.0.0.1:8545"));
        bytes memory answer =
            forgeVm.rpc(url, "eth_call", string.concat("[", call_, ',"latest",', state, "]"));
        return abi.decode(answer, (bool, uint256, bytes));
    }

    /// A number as JSON-RPC writes it.
    function _quantity(uint256 value) private pure returns (string memory) {
        if (value == 0) return "0x0";
        uint256 digits = 0;
        for (uint256 rest = value; rest > 0; rest >>= 4) digits++;
        bytes memory text = new bytes(digits);
        for (uint256 place = digits; place > 0; place--) {
            text[place - 1] = bytes16("0123456789abcdef")[value & 15];
            value >>= 4;
        }
        return string.concat("0x", string(text));
    }
}

/// What stands at the caller's address for one call on the node.
contract Asker {
    receive() external payable {}

    fallback() external payable {
        (address target, bytes memory data) = abi.decode(msg.data, (address, bytes));
        uint256 before = gasleft();
        (bool success, bytes memory output) = target.call{value: msg.value}(data);
        bytes memory answer = abi.encode(success, before - gasleft(), output);
        assembly {
            return(add(answer, 32), mload(answer))
        }
    }
}
