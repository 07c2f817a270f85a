"""Pictures of evaluations, from plain arrays: numbers on heads, the mouth's opening, figures by what is spoken.

`heads` needs NumPy and Pillow alone; `charts` draws with matplotlib, the optional extra `plots`, through `canvas`.
"""
