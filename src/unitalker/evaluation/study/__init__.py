"""A user study in one page: two systems side by side, the paper's three questions (Tab. 3), answers with intervals.

`sides.py` gives the pictures of a system, `build.py` makes the page of them, `page.html` is what people see, `score.py`
counts what they answered. `clips.py` is what building and counting share.
"""
