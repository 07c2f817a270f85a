# make setup | demo | test | check | bench  (see README.md)
unexport PYTHONDONTWRITEBYTECODE
ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
PY := .venv/bin/python
UV := .venv/bin/uv

.PHONY: setup demo test check bench clean
setup: .venv/.ok .tools/.ok

.venv/.ok: pyproject.toml requirements.lock
	test -x $(PY) || python3 -m venv .venv
	.venv/bin/pip install -q uv
	$(UV) pip install -q --python $(PY) --compile-bytecode torch==2.13.0 -r requirements.lock
	$(UV) pip install -q --python $(PY) --no-deps -e .
	touch $@

# The Khronos glTF validator, used by the tests; without npm those tests say that they were skipped.
.tools/.ok: tools/package.json
	mkdir -p .tools && cp tools/package.json .tools/
	if command -v npm >/dev/null; then cd .tools && npm install --silent --no-audit --no-fund; fi
	touch $@

demo: .venv/.ok
	$(PY) demo/demo.py $(if $(AUDIO),--audio "$(AUDIO)")

test: setup
	$(PY) -m pytest

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright --pythonpath $(PY)
	$(PY) -m pytest tests/test_house.py

bench: setup
	$(PY) benchmarks/run.py

clean:
	rm -rf .venv .tools demo/out
