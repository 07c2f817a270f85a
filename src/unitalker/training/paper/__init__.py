"""The paper's tables and figures as experiments: which models are trained, on what, and what is measured on them.

`sets.py` tells which dataset stands for which of the paper's, `scales.py` how large models and runs are, `lab.py` trains and
measures what a table asks for and keeps it, `tables.py` says what each table is, `grid.py` writes it with the paper's figures
beside ours. docs/bench.md is for users.
"""
