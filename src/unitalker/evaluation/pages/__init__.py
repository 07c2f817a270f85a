"""One page for an evaluation, in one file: `build.write_page`; [docs/evaluation.md](../../../../docs/evaluation.md).

`page.html` is the frame, `tables` makes what is read, `pictures` what is looked at.
"""
