"""The demonstration from its first line to its last: what is done, in order, and what each step must show."""

from __future__ import annotations

import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from metis.ai import ModelFile, ModelStore
from metis.ai.receipt import Domain
from metis.cli.bench.machine import commit, machine
from metis.cli.contract_files import call_data, load_contract
from metis.cli.demo.crowd import Mined, crash, estimates, run_wave
from metis.cli.demo.errands import PRICE_WEI, Errands, answered
from metis.cli.demo.knowledge import ANSWERS, QUESTIONS
from metis.cli.demo.language import measure_language_model
from metis.cli.demo.models import Digits, Encoder, publish, train_digits
from metis.cli.demo.node_process import NodeProcess
from metis.cli.demo.off_chain import WorkerProcess, ask_and_verify
from metis.cli.demo.results import Crowd, PublishedModel, Results, Score, Wave
from metis.cli.demo.telling import Telling
from metis.cli.demo.users import Users
from metis.cli.demo.verifier import Verifier, executed_again, refuses_model
from metis.cli.node_client import NodeClient
from metis.cli.registry_client import RegistryClient
from metis.node.config import AccountsConfig, ModelsConfig, NodeConfig
from metis.sdk import MODEL_REGISTRY
from metis.types import Address

__all__ = ["Options", "Story"]

_OWNER: Final = 1
_FIRST_USER: Final = 2
_COIN_WEI: Final = 10**18
_INT32: Final = 3
_PAYERS: Final = 4
_ASKED: Final = 20


@dataclass(frozen=True, slots=True)
class Options:
    """
    How large the demonstration is.

    Attributes
    ----------
    users : who send. waves : how often they do, all at once. language_model : the fixture, where it is.
    """

    users: int
    waves: int
    asks_per_wave: int
    language_model: Path | None


class Story:
    """
    One run in one folder.

    Parameters
    ----------
    folder : is empty, and has everything when the story is over. telling : is told of each step.
    """

    def __init__(self, options: Options, folder: Path, telling: Telling) -> None:
        self.options = options
        self.results = Results(machine={"machine": machine(), "commit": commit()})
        self._folder = folder
        self._telling = telling
        self._store = ModelStore(folder / "models")
        self._mined = Mined()
        self._nearest: Address | None = None
        self._settings = NodeConfig(
            accounts=replace(AccountsConfig(), count=_FIRST_USER + options.users),
            models=replace(ModelsConfig(), stores=(self._store.url,), path=str(folder / "verifier-models")),
        )
        environment = {"METIS_MODELS": self._store.url, "XDG_CACHE_HOME": str(folder / "cache")}
        data = ("--data-dir", str(folder / "data"), "--accounts", str(self._settings.accounts.count))
        self.node = NodeProcess(data, environment, folder / "node.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.node.stop()

    def run(self) -> Results:
        """Tell it; the node goes on."""
        self._start()
        self._train()
        self._publish_encoder()
        self._deploy()
        self._crowd()
        self._crash()
        self._verify()
        self._execute_again()
        self._ask_worker()
        self._language_model()
        self.results.inferences = self._mined.runs.total()
        self._telling.end(self.results)
        return self.results

    def _problem(self, what: str, *, unless: bool) -> None:
        if not unless:
            self.results.problems.append(what)

    def _start(self) -> None:
        self._telling.begin("node", "A fresh Hyperion node, its chain in a folder of its own")
        self.node.start()
        self.client = NodeClient(self.node.url)
        self._users = Users(self.node.started)
        started = self.node.started
        self._telling.done(
            "one command is a whole chain: funded accounts, HTTP and WebSocket, a block when a transaction arrives",
            {
                "chain id": started["chain_id"],
                "rules": started["fork"],
                "accounts": len(self._users),
                "at": started["http"],
            },
        )

    def _train(self) -> None:
        self._telling.begin("digits", "A classifier of handwritten digits: trained, made integers, registered")
        self._telling.progress("training on 1,437 real images, quantising")
        self._digits: Digits = train_digits()
        digits = self._digits
        score = Score("right answers", digits.float_accuracy, digits.integer_accuracy)
        self._publish("digits, trained here", digits.file, score)
        self._problem(
            f"digits: {digits.integer_accuracy:.1%} right after {digits.float_accuracy:.1%}",
            unless=digits.integer_accuracy >= digits.float_accuracy - 0.01,
        )
        self._telling.done(
            "a model of integers answers like the float one, and with the same bits everywhere",
            {
                "images": f"{len(digits.labels)} it never saw",
                "right": f"float {digits.float_accuracy:.2%}, integer {digits.integer_accuracy:.2%}",
                "id": f"0x{digits.file.model.id.hex()}",
            },
        )

    def _publish_encoder(self) -> None:
        self._telling.begin("encoder", "all-MiniLM-L6-v2, a sentence encoder of 22 million weights, registered")
        self._encoder: Encoder | None = Encoder.prepared()
        if self._encoder is None:
            why = "its weights are not here; `metis demo --prepare` downloads and quantises them once"
            self.results.left_out["encoder"] = why
            self._telling.left_out(why)
            return
        encoder = self._encoder
        model = self._publish(
            "all-MiniLM-L6-v2", encoder.file, Score("cosine to the float model", 1.0, encoder.cosine_mean)
        )
        self._telling.done(
            "its id is the hash of graph, weights and tokenizer: whoever has the id has the model, or nothing",
            {
                "weights": f"{model.size_bytes:,} bytes",
                "MACs": f"{model.macs:,}",
                "gas": f"{model.gas:,}",
                "id": f"0x{model.id.hex()}",
            },
        )

    def _publish(self, name: str, file: ModelFile, score: Score) -> PublishedModel:
        registry = RegistryClient(self.client)
        owner = f"0x{self._users.addresses[_OWNER].hex()}"
        model, active_from = publish(name, file, self._store, registry, owner, PRICE_WEI, score)
        self.results.models.append(model)
        missing = active_from - int(self.client.ask("eth_blockNumber"), 16)
        if missing > 0:
            self.client.ask("anvil_mine", hex(missing))
        return model

    def _deploy(self) -> None:
        self._telling.begin("contracts", "Contracts that call models")
        deployed = {}
        self._bounties: list[Address] = []
        classifier = self._digits.file.model.id
        bounty = load_contract("DigitBounty")
        for digit in range(10):
            self._bounties.append(self._created(bounty.bytecode, ["bytes32", "uint8"], [classifier, digit], _COIN_WEI))
        deployed[bounty.source] = "ten, each with 1 METIS for the first image of its digit"
        if self._encoder is not None:
            nearest = load_contract("NearestAnswer")
            encoder = self._encoder
            self._nearest = self._created(nearest.bytecode, ["bytes32", "uint8"], [encoder.file.model.id, _INT32], 0)
            taught = encoder.inputs([question for question, _ in ANSWERS])
            for tokens, (_, text) in zip(taught, ANSWERS, strict=True):
                self._send_first(self._nearest, call_data("teach(bytes,string)", tokens, text), PRICE_WEI)
            deployed[nearest.source] = f"knows {len(ANSWERS)} answers by what their questions mean"
        self._telling.done("contracts in Vyper and Solidity call models like any other contract", deployed)

    def _created(self, bytecode: bytes, types: list[str], values: list[Any], value_wei: int) -> Address:
        from eth_abi.abi import encode

        receipt = self._send_first(None, bytecode + encode(types, values), value_wei)
        return Address(bytes.fromhex(receipt["contractAddress"][2:]))

    def _send_first(self, to: Address | None, data: bytes, value_wei: int) -> Any:
        """A transaction of the first account, which the node signs; its receipt."""
        transaction = {
            "from": f"0x{self._users.addresses[0].hex()}",
            "data": f"0x{data.hex()}",
            "value": hex(value_wei),
            **({} if to is None else {"to": f"0x{to.hex()}"}),
        }
        receipt = self.client.ask("eth_sendTransactionSync", transaction)
        self._problem(f"transaction {receipt['transactionHash']} failed", unless=receipt["status"] == "0x1")
        self._mined.add([receipt])
        return receipt

    def _crowd(self) -> None:
        options = self.options
        self._telling.begin(
            "crowd", f"{options.users} users send at once" + ("" if options.waves == 1 else f", {options.waves} times")
        )
        self.client.ask("evm_setAutomine", False)
        self._users.learn_nonces(self.client)
        owner = f"0x{self._users.addresses[_OWNER].hex()}"
        before_wei = int(self.client.ask("eth_getBalance", owner, "latest"), 16)
        runs_before = self._mined.runs.total()
        self._errands = Errands(
            users=range(_FIRST_USER, _FIRST_USER + options.users),
            addresses=self._users.addresses,
            classifier=self._digits.file.model.id,
            images=self._digits.inputs(),
            labels=self._digits.labels.tolist(),
            bounties=self._bounties,
            nearest=self._nearest,
            questions=[] if self._encoder is None else self._encoder.inputs([text for text, _ in QUESTIONS]),
            asks=options.asks_per_wave,
        )
        self._limits = estimates(self.client, self._users, self._errands.of_wave(0))
        waves: list[Wave] = []
        first = int(self.client.ask("eth_blockNumber"), 16) + 1
        asked: list[tuple[int, Any]] = []
        bounties = 0
        for number in range(options.waves):
            self._telling.progress(f"wave {number + 1} of {options.waves}: {options.users} transactions")
            messages = self._errands.of_wave(number)
            wave, receipts = run_wave(self.client, self._users, messages, self._limits, self._mined)
            waves.append(wave)
            for (_, message), receipt in zip(messages, receipts, strict=True):
                bounties += message.kind == "claim" and receipt["status"] == "0x1"
                if message.question is not None:
                    asked.append((message.question, receipt))
        earned_wei = int(self.client.ask("eth_getBalance", owner, "latest"), 16) - before_wei
        expected_wei = (self._mined.runs.total() - runs_before) * PRICE_WEI
        right = sum(answered(receipt) == QUESTIONS[question][1] for question, receipt in asked)
        crowd = Crowd(tuple(waves), options.users, len(asked), right, bounties, earned_wei, expected_wei)
        self.results.crowd = crowd
        self._crowd_blocks = range(first, int(self.client.ask("eth_blockNumber"), 16) + 1)
        self._problem(f"the owner earned {earned_wei} wei, not {expected_wei}", unless=earned_wei == expected_wei)
        self._telling.done(
            "the owner of the models earned the price of every run, and nobody waited for anybody",
            {
                "transactions": f"{crowd.transactions:,}, {sum(wave.blocks for wave in waves)} blocks",
                "inferences": f"{crowd.inferences:,} inside of transactions",
                "answers": f"{right} of {len(asked)} are those a person would give" if asked else "none asked",
                "bounties": f"{bounties} paid",
                "earned": f"{earned_wei / _COIN_WEI:.6f} METIS, to the wei what the runs cost",
            },
        )

    def _crash(self) -> None:
        self._telling.begin("crash", "The node is killed with -9 while it builds blocks, and started again")
        raw = self._users.sign(self._errands.of_wave(self.options.waves), self._limits)
        found, self.client = crash(self.node, self.client, raw, self._mined)
        self.results.crash = found
        self._problem(f"{found.lost} reported transactions or blocks were lost", unless=found.lost == 0)
        self._telling.done(
            "what was reported mined is mined",
            {
                "reported before": f"{found.reported_transactions:,} transactions, block {found.head_before}",
                "lost": str(found.lost),
                "back after": f"{found.restart_ms:,.0f} ms, at block {found.head_after}",
                "sent again": f"{found.sent_again} that it had taken but not mined",
            },
        )

    def _verify(self) -> None:
        self._telling.begin("verify", "A second node executes every block itself: sequential, interpreted, in memory")
        verifier = Verifier(self._settings)
        verdict = verifier.verify(self.client, self._telling.progress)
        refused = {**verdict.refused, "model": refuses_model(self._store, self._digits.file.model.id)}
        verdict = replace(verdict, refused=refused)
        self.results.verdict = verdict
        self._problem(f"the second node disagrees {verdict.mismatches} times", unless=verdict.mismatches == 0)
        for what, why in refused.items():
            self._problem(f"a {what} with a changed byte was accepted", unless=bool(why))
        self._telling.done(
            "every root, receipt and inference is the same for who believes nothing",
            {
                "blocks": f"{verdict.blocks:,} with {verdict.transactions:,} transactions",
                "differences": verdict.mismatches,
                **{f"a changed byte in a {what}": f"refused: {why}" for what, why in refused.items()},
            },
        )

    def _execute_again(self) -> None:
        self._telling.begin("parallel", "The users' blocks once more: one transaction at a time, and many")
        found = executed_again(self._settings, self.client, self._crowd_blocks, self._telling.progress)
        self.results.parallel = found
        self._telling.done(
            "transactions that have nothing to do with each other run at once, with the results of their order",
            {
                "blocks": f"{found.blocks} with {found.transactions:,} transactions",
                "one after the other": f"{found.sequential_ms:,.0f} ms",
                f"{found.workers} at a time": f"{found.parallel_ms:,.0f} ms, {found.speedup:.2f} times as fast",
                "conflicts": f"{found.reruns} run again, of {found.dependent} that depend on one before them",
            },
        )

    def _ask_worker(self) -> None:
        self._telling.begin("receipts", "A worker off the chain: every answer with a receipt that anyone verifies")
        digits, domain = self._digits, Domain(self.node.started["chain_id"], MODEL_REGISTRY)
        worker = WorkerProcess("digits", digits.file, domain, self._folder / "worker")
        try:
            keys = [self._users.key(_FIRST_USER + place) for place in range(_PAYERS)]
            samples = [[float(value) for value in image] for image in digits.images[:_ASKED]]
            found, labels = ask_and_verify(worker, "digits", digits.file, keys, samples)
        finally:
            worker.stop()
        self.results.receipts = found
        self._problem("receipts that are not valid", unless=found.valid == found.requests)
        self._problem("a falsified operator was not found", unless=bool(found.pinpointed_operator))
        seen = digits.answers()[:_ASKED].tolist()
        self._problem("the worker sees other digits than the chain's model", unless=labels == seen)
        self._telling.done(
            "what runs elsewhere is held to the same bits, operator by operator",
            {
                "receipts": f"{found.valid} of {found.requests} hold, executed again in {found.verify_ms:,.0f} ms",
                "a lie signed by the worker": f"found at its {found.pinpointed_operator or 'nothing'}",
            },
        )

    def _language_model(self) -> None:
        self._telling.begin("language-model", "A language model written in EVM bytecode, interpreted and compiled")
        if self.options.language_model is None:
            why = "the fixture evm-workloads/onchain-lm-v2 is not here; METIS_FIXTURES names the folder of fixtures"
            self.results.left_out["language_model"] = why
            self._telling.left_out(why)
            return
        found = measure_language_model(self.options.language_model)
        self.results.language_model = found
        self._telling.done(
            "contracts that compute become machine code, with the same results",
            {
                "gas": f"{found.gas:,}",
                "interpreted": f"{found.interpreted_ms:,.0f} ms",
                "compiled": f"{found.compiled_ms:,.0f} ms, {found.speedup:.1f} times as fast",
            },
        )
