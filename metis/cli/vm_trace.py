"""
What ``metis vm run`` prints: steps and the result, as columns or as EIP-3155 JSON lines.

Source: EIP-3155. Its required keys come first; ours (status, logs, …) follow them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from metis.cli.output import hex_text, write_json

if TYPE_CHECKING:
    from metis.types import DecodeError, InvalidTransaction, TransactionOutcome

__all__ = ["outcome_object", "outcome_text", "step_printer", "write_outcome", "write_refusal"]

_HEADER = f"{'depth':>5}  {'pc':>6}  {'op':<14}  {'gas':>12}  {'gas cost':>10}  {'stack':>5}  top of stack"


def step_printer(*, as_json: bool) -> Callable[[bytes], None]:
    """
    Make the function that prints one step, given its EIP-3155 line.

    Steps are printed as they happen: a trace has no limit but its gas.
    """
    if as_json:
        return lambda line: _write(line.decode())

    import orjson

    headed = False

    def show(line: bytes) -> None:
        nonlocal headed
        if not headed:
            headed = True
            _write(_HEADER)
        _write(_step_text(orjson.loads(line)))

    return show


def outcome_object(
    outcome: TransactionOutcome, fork: str, differences: list[str] | None, seconds: float
) -> dict[str, Any]:
    """
    EIP-3155's summary, with what else an outcome says.

    ``differences`` is what a state-test file has otherwise, None where there is no file.
    """
    summary: dict[str, Any] = {
        "stateRoot": hex_text(outcome.state_root),
        "output": hex_text(outcome.output),
        "gasUsed": hex(outcome.gas_used),
        "pass": outcome.status == "success",
        "time": round(seconds * 1_000_000_000),
        "fork": fork,
        "status": outcome.status,
        "haltReason": outcome.halt_reason,
        "gasRefunded": hex(outcome.gas_refunded),
        "contractAddress": hex_text(outcome.contract_address) if outcome.contract_address is not None else None,
        "logs": [
            {
                "address": hex_text(log.address),
                "topics": [hex_text(topic) for topic in log.topics],
                "data": hex_text(log.data),
            }
            for log in outcome.logs
        ],
        "logsHash": hex_text(outcome.logs_hash),
    }
    if differences is not None:
        summary["differences"] = differences
    return summary


def outcome_text(outcome: TransactionOutcome, fork: str, differences: list[str] | None) -> str:
    """The result as lines for a reader."""
    status = outcome.status if outcome.halt_reason is None else f"{outcome.status}: {outcome.halt_reason}"
    refunded = f" (after a refund of {outcome.gas_refunded:,})" if outcome.gas_refunded else ""
    lines = [
        f"status      {status} ({fork})",
        f"gas used    {outcome.gas_used:,}{refunded}",
        f"output      {hex_text(outcome.output)}",
    ]
    if outcome.contract_address is not None:
        lines.append(f"contract    {hex_text(outcome.contract_address)}")
    for log in outcome.logs:
        topics = ", ".join(hex_text(topic) for topic in log.topics)
        lines.append(f"log         {hex_text(log.address)} [{topics}] {hex_text(log.data)}")
    lines.append(f"state root  {hex_text(outcome.state_root)}")
    if differences is not None:
        lines.extend(f"differs     {difference}" for difference in differences)
    return "\n".join(lines)


def write_outcome(
    outcome: TransactionOutcome, fork: str, differences: list[str] | None, seconds: float, *, as_json: bool
) -> None:
    """Print the result after its steps."""
    if as_json:
        write_json(outcome_object(outcome, fork, differences, seconds))
    else:
        _write(outcome_text(outcome, fork, differences))


def write_refusal(refusal: DecodeError | InvalidTransaction, fork: str, expected: str, *, as_json: bool) -> None:
    """Print that the transaction was refused, as its file expects."""
    if as_json:
        write_json({"pass": False, "fork": fork, "status": "refused", "refusal": str(refusal), "expected": expected})
    else:
        _write(f"refused     {refusal} ({fork})\nexpected    {expected}")


def _step_text(step: dict[str, Any]) -> str:
    stack = step.get("stack") or []
    top = stack[-1] if stack else ""
    name = step.get("opName") or hex(step["op"])
    error = f"  ({step['error']})" if step.get("error") else ""
    return (
        f"{step['depth']:>5}  {step['pc']:>6}  {name:<14}  {int(step['gas'], 16):>12,}  "
        f"{int(step['gasCost'], 16):>10,}  {len(stack):>5}  {top}{error}"
    ).rstrip()


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
