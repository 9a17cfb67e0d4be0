"""
MetisVM as Python sees it; so far its conformance to Ethereum.

In: Ethereum state-test files, folders and archives. Out: a report of what the engine computes
differently. Invariant: a case is never dropped in silence: each one is passed, failed or skipped
and counted. Cost: one execution and one state root per case; memory is bounded by the largest file
times the number of workers. Source: ethereum/tests and execution-spec-tests, "State Tests".

    fixtures.py       where tests come from: files, folders, archives, read with limits
    fields.py         a fixture's JSON fields, typed
    statetest.py      one file's JSON → tests and cases
    template.py       a transaction from a test's fields, where it has no signed bytes
    refusals.py       the fixtures' names for refused transactions → our reasons
    forks.py          forks as the fixtures name them, and their rules
    case.py           one case against the engine
    conformance.py    many files on threads → one report
"""

from metis.vm.case import CaseFailure, CaseRunner, execute_case, run_case
from metis.vm.conformance import MODES, ForkCount, Report, run_state_tests
from metis.vm.fixtures import FixtureFile, fixture_files, read_fixture
from metis.vm.forks import canonical_fork
from metis.vm.refusals import is_expected, refusal_name
from metis.vm.statetest import StateCase, StateTest, parse_state_tests

__all__ = [
    "MODES",
    "CaseFailure",
    "CaseRunner",
    "FixtureFile",
    "ForkCount",
    "Report",
    "StateCase",
    "StateTest",
    "canonical_fork",
    "execute_case",
    "fixture_files",
    "is_expected",
    "parse_state_tests",
    "read_fixture",
    "refusal_name",
    "run_case",
    "run_state_tests",
]
