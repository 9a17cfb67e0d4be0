"""
The demonstration: one run of everything that Hyperion is, on real data and models.

In: a folder, and how much of it all. Out: a story in the terminal or as JSON, a page, an exit code. Invariant: every
number shown was measured in this run, and what was left out is named.

    story.py          the steps, in order
    models.py         a classifier that is trained here, an encoder from a wheel
    users.py, errands.py, crowd.py   many people at once, and a crash
    verifier.py       a second node
    off_chain.py      a worker, its receipts, and one that lies
    language.py       a language model in EVM bytecode
    results.py        what was found; tables.py, terminal.py, json_lines.py, page.py show it
"""
