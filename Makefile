.PHONY: check test oldest faults lives models bench pictures docs run wheel

check: ## format, lint, types, imports, fast tests
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest -q tests/unit tests/property tests/contract tests/architecture tests/golden

test: ## every test
	pytest

oldest: ## every test with the oldest PyTorch that pyproject.toml allows, in an environment of its own
	python3 -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet -e '.[dev]' 'torch==2.6.*'
	PATH="$$PWD/.venv-oldest/bin:$$PATH" pytest

faults: ## kill runs, plant links and race commands COUNT times, at random
	FAULTS=$(or $(COUNT),100) pytest -q tests/process/test_faults*.py

lives: ## steer, kill, undo and fork COUNT runs at random; what is shown and exported is what they lived
	LIVES=$(or $(COUNT),1000) pytest -q -n 0 tests/property/test_lineage.py

models: ## train a step of each of torchvision's classifiers: minutes, and gigabytes
	MODELS=all pytest -q -n 0 tests/contract/test_models.py

bench: ## the figures of benchmarks/RESULTS.md
	python -m benchmarks.overhead

pictures: ## the pictures of README and docs, from the app itself
	python docs/make_pictures.py

docs: ## the pages of docs/ that the program knows: options, keys, cli, losses
	python docs/make_docs.py

run: ## the app
	tuitrain

wheel:
	python -m build --wheel
