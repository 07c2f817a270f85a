"""The paper's tables and figures as experiments: which models are trained, on what, and what is measured on them.

`sets.py` tells which dataset stands for which of the paper's, `scales.py` how large models and runs are, `runs.py` what a run
is, `lab.py` trains and measures what a table asks for and keeps it. `tables.py`, `compared.py`, `transfer.py`, `ablated.py`
and `people.py` say what each table is; `grid.py` tells it with the paper's figures beside ours, `bench.py` writes it.
docs/bench.md is for users.
"""
