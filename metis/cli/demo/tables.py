"""The tables at the end: the same for terminal and page. Every number was measured in this run."""

from __future__ import annotations

from dataclasses import dataclass

from metis.cli.demo.results import Results

__all__ = ["Table", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """``left`` columns are text; the rest are numbers."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


def tables(results: Results) -> list[Table]:
    """Those that there is something for."""
    made = (_models, _waves, _parallel, _state, _language_model, _crash, _verdict, _receipts)
    return [table for table in (make(results) for make in made) if table is not None]


def _models(results: Results) -> Table:
    rows = tuple(
        (
            model.name,
            model.score.measure,
            f"{model.score.of_float:.4f}",
            f"{model.score.of_integer:.4f}",
            f"{model.macs:,}",
            f"{model.size_bytes:,}",
            f"{model.gas:,}",
        )
        for model in results.models
    )
    return Table("Models", ("model", "measure", "float", "integer", "MACs", "bytes", "gas"), rows, left=2)


def _waves(results: Results) -> Table | None:
    if results.crowd is None:
        return None
    rows = tuple(
        (
            str(number),
            f"{wave.transactions:,}",
            f"{wave.succeeded:,}",
            f"{wave.inferences:,}",
            f"{wave.blocks:,}",
            f"{wave.gas / 1e6:,.1f}",
            f"{wave.send_ms:,.0f}",
            f"{wave.mine_ms:,.0f}",
            f"{wave.transactions / (wave.send_ms + wave.mine_ms) * 1e3:,.0f}",
            f"{wave.inferences / (wave.send_ms + wave.mine_ms) * 1e3:,.0f}",
        )
        for number, wave in enumerate(results.crowd.waves, 1)
    )
    headers = (
        "wave",
        "sent",
        "succeeded",
        "inferences",
        "blocks",
        "Mgas",
        "send ms",
        "mine ms",
        "tx/s",
        "inferences/s",
    )
    return Table("Users at once", headers, rows, left=0)


def _parallel(results: Results) -> Table | None:
    if results.parallel is None:
        return None
    parallel = results.parallel
    rows = (
        ("one at a time", f"{parallel.sequential_ms:,.1f}", "1.00", "-"),
        (
            f"{parallel.workers} workers",
            f"{parallel.parallel_ms:,.1f}",
            f"{parallel.speedup:.2f}",
            f"{parallel.reruns:,}",
        ),
        ("any number, at best", "-", f"{parallel.speedup_max:.1f}", "-"),
    )
    return Table("The users' blocks, executed again", ("transactions", "ms", "speed-up", "run again"), rows)


def _state(results: Results) -> Table | None:
    if results.parallel is None:
        return None
    parallel = results.parallel
    row = (f"{parallel.accounts:,}", f"{parallel.slots_read:,}", f"{parallel.slots_written:,}")
    headers = ("accounts", "slots only read", "slots written")
    return Table("State that the users' blocks accessed", headers, (row,), left=0)


def _language_model(results: Results) -> Table | None:
    if results.language_model is None:
        return None
    model = results.language_model
    runs = (
        ("interpreted", model.interpreted_ms, 1.0, 0.0),
        ("compiled", model.compiled_ms, model.speedup, model.compiled_share),
    )
    rows = tuple(
        (name, f"{time_ms:,.1f}", f"{model.gas / time_ms / 1e6:.2f}", f"{speedup:.1f}", f"{part:.1%}")
        for name, time_ms, speedup, part in runs
    )
    headers = ("", "ms", "Ggas/s", "speed-up", "frames compiled")
    return Table("Language model in EVM bytecode", headers, rows)


def _crash(results: Results) -> Table | None:
    if results.crash is None:
        return None
    crash = results.crash
    row = (f"{crash.reported_transactions:,}", str(crash.lost), f"{crash.sent_again:,}", f"{crash.restart_ms:,.0f}")
    return Table("Kill -9", ("reported", "lost", "sent again", "back after ms"), (row,), left=0)


def _verdict(results: Results) -> Table | None:
    if results.verdict is None:
        return None
    verdict = results.verdict
    row = (
        f"{verdict.blocks:,}",
        f"{verdict.transactions:,}",
        str(verdict.mismatches),
        f"{verdict.execute_ms:,.0f}",
        f"{sum(map(bool, verdict.refused.values()))} of {len(verdict.refused)}",
    )
    headers = ("blocks", "transactions", "differences", "execution ms", "forgeries refused")
    return Table("Second node", headers, (row,), left=0)


def _receipts(results: Results) -> Table | None:
    if results.receipts is None:
        return None
    receipts = results.receipts
    row = (
        str(receipts.requests),
        str(receipts.valid),
        f"{receipts.cost_wei:,}",
        f"{receipts.ask_ms:,.0f}",
        f"{receipts.verify_ms:,.0f}",
        f"{receipts.falsified_operator}: {'found' if receipts.pinpointed_operator else 'not found'}",
    )
    headers = ("requests", "receipts valid", "wei", "asking ms", "verifying ms", "falsified operator")
    return Table("Worker off the chain", headers, (row,), left=0)
