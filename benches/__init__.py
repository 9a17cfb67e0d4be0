"""
What the engine's speed is, measured on this machine: ``make bench`` writes every chapter of docs/benchmarks.md.

    chapter      what a chapter is: its tables, its place in the document, where its numbers are from
    tables       rows of measurements as columns
    commands     chapters that are what a command of ``metis`` measures
    vm           compiled code beside plain revm; evmone's figures; a language model in bytecode
    gas          models beside what else is heavy, in time and in gas
    start        starting a node, and what it holds when nobody asks
"""
