"""
A worker: models behind an HTTP interface like OpenAI's, paid by signed requests, answered with execution receipts.

In: HTTP requests whose headers carry the payer's signature. Out: responses in OpenAI's form, receipts, batches of
them. Invariants: what was accepted and what was charged is on disk before anyone is told; a nonce is taken once, in
increasing order; nothing runs before its cost is authorised. Source: docs/worker.md.

    settings.py  what an operator decides        ledger.py  nonces, charges and batches on disk
    models.py    models by name, and their kinds  gate.py    requests of one payer in the order of their nonces
    requests.py  headers and bodies               desk.py    from a request to a receipt
    forms.py     answers in OpenAI's form         routes.py  the HTTP interface; server.py runs it
"""

from metis.ai.worker.desk import Desk
from metis.ai.worker.ledger import Ledger
from metis.ai.worker.models import ServedModel
from metis.ai.worker.routes import application
from metis.ai.worker.settings import WorkerSettings

__all__ = ["Desk", "Ledger", "ServedModel", "WorkerSettings", "application"]
