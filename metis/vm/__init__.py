"""
MetisVM as Python sees it: what gets compiled, and whether all of it conforms to Ethereum.

In: contracts that the engine found hot, and Ethereum state-test files. Out: machine code in the engine's
registry, and reports of what the engine computes differently or how fast it is. Invariants: compiled code
changes no result; a test's case is never dropped in silence, each one is passed, failed or skipped and
counted. Cost: compilation is in processes of its own; a case is one execution and one state root. Source:
docs/metisvm.md; ethereum/tests and execution-spec-tests, "State Tests".

    compiler/         bytecode → machine code
    tiering/          which contracts, by whom, and kept where
    eager.py          everything compiled before it counts
    bench.py          plain revm, tier 0 and tier 1 side by side
    fixtures.py       where tests come from: files, folders, archives, read with limits
    fields.py         a fixture's JSON fields, typed
    beginning.py      what all tests begin with: accounts, chain id, blob limits
    statetest.py      one file's JSON → state tests and their cases
    template.py       a transaction from a test's fields, where it has no signed bytes
    refusals.py       the fixtures' names for refused transactions → our reasons
    forks.py          forks and networks as the fixtures name them, and their rules
    case.py           one case against the engine
    report.py         many files on threads → one report
    conformance.py    state tests, in one of the ways that cases may run
    chaintest.py      one file's JSON → blockchain tests
    block_refusals.py the fixtures' names for refused blocks → our reasons
    chains.py         blockchain tests against a node of the engine
    shuffle.py        many cases in one block, for comparing executors

A node needs the tiering alone, so the names below are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.vm.case import CaseFailure, CaseRunner, Machine, execute_case, run_case
    from metis.vm.chains import Skipped, run_chain_test, run_chain_tests
    from metis.vm.chaintest import ChainBlock, ChainTest, parse_chain_tests
    from metis.vm.conformance import MODES, STORES, run_state_tests
    from metis.vm.fixtures import FixtureFile, fixture_files, read_fixture
    from metis.vm.forks import canonical_fork
    from metis.vm.refusals import is_expected, refusal_name
    from metis.vm.report import ForkCount, Report
    from metis.vm.shuffle import ShuffledBlock, shuffled_blocks
    from metis.vm.statetest import StateCase, StateTest, parse_state_tests

__all__ = [
    "MODES",
    "STORES",
    "CaseFailure",
    "CaseRunner",
    "ChainBlock",
    "ChainTest",
    "FixtureFile",
    "ForkCount",
    "Machine",
    "Report",
    "ShuffledBlock",
    "Skipped",
    "StateCase",
    "StateTest",
    "canonical_fork",
    "execute_case",
    "fixture_files",
    "is_expected",
    "parse_chain_tests",
    "parse_state_tests",
    "read_fixture",
    "refusal_name",
    "run_case",
    "run_chain_test",
    "run_chain_tests",
    "run_state_tests",
    "shuffled_blocks",
]

__getattr__ = lazy_names(
    __name__,
    {
        "case": ("CaseFailure", "CaseRunner", "Machine", "execute_case", "run_case"),
        "chains": ("Skipped", "run_chain_test", "run_chain_tests"),
        "chaintest": ("ChainBlock", "ChainTest", "parse_chain_tests"),
        "conformance": ("MODES", "STORES", "run_state_tests"),
        "fixtures": ("FixtureFile", "fixture_files", "read_fixture"),
        "forks": ("canonical_fork",),
        "refusals": ("is_expected", "refusal_name"),
        "report": ("ForkCount", "Report"),
        "shuffle": ("ShuffledBlock", "shuffled_blocks"),
        "statetest": ("StateCase", "StateTest", "parse_state_tests"),
    },
)
