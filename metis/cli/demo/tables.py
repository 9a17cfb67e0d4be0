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
    found = [_models(results)]
    if results.crowd is not None:
        found.append(_waves(results))
    if results.language_model is not None:
        model = results.language_model
        rows = (
            ("interpreted", f"{model.interpreted_ms:,.1f}", f"{model.gas / model.interpreted_ms / 1e6:.2f}", "1.0"),
            (
                "compiled",
                f"{model.compiled_ms:,.1f}",
                f"{model.gas / model.compiled_ms / 1e6:.2f}",
                f"{model.speedup:.1f}",
            ),
        )
        found.append(Table("Language model in EVM bytecode", ("", "ms", "Ggas/s", "speed-up"), rows))
    if results.crash is not None:
        crash = results.crash
        row = (f"{crash.reported_transactions:,}", str(crash.lost), f"{crash.sent_again:,}", f"{crash.restart_ms:,.0f}")
        found.append(Table("Kill -9", ("reported", "lost", "sent again", "back after ms"), (row,), left=0))
    if results.verdict is not None:
        verdict = results.verdict
        said = (
            f"{verdict.blocks:,}",
            f"{verdict.transactions:,}",
            str(verdict.mismatches),
            f"{verdict.execute_ms:,.0f}",
            f"{sum(map(bool, verdict.refused.values()))} of {len(verdict.refused)}",
        )
        headers = ("blocks", "transactions", "differences", "execution ms", "forgeries refused")
        found.append(Table("Second node", headers, (said,), left=0))
    return found


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


def _waves(results: Results) -> Table:
    assert results.crowd is not None  # noqa: S101 - the caller looked
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
