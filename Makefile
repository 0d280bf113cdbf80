# userline: the two commands that matter are `make run` and `make test`.
# They need Python 3.11 or newer and access to package registries, and install nothing outside of this folder.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help docs run test test-stores test-clients chaos soak streams simulate check bench bench-client schema settings-docs lock graphiql wheel client-wheel client-npm release clean bench-clients example conformance

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.runtime ## Set up and serve on http://127.0.0.1:8000/graphql (flags: make run ARGS="--port 9000")
	@$(MAKE) --no-print-directory graphiql || echo "Serving without GraphiQL, because its page could not be built."
	@$(BIN)/userline serve $(ARGS)

test: $(VENV)/.dev graphiql ## Set up and run the tests (flags: make test ARGS="-k hub")
	$(BIN)/python scripts/run-tests $(ARGS)

test-stores: $(VENV)/.dev ## Run the tests of the stores on more stand-ins for MongoDB (docs/contributing.md), and on USERLINE_TEST_MONGODB_URI
	scripts/mongo-stand-ins
	USERLINE_TEST_STORES=mongo-java-server,mongoeco $(BIN)/python scripts/run-tests tests/storage $(ARGS)

test-clients: $(VENV)/.dev ## Build clients in Go, Rust, Java, Kotlin, TypeScript and Python, and run them (ARGS="-k genqlient")
	$(BIN)/python -m pytest -m outside tests/outside $(ARGS)

chaos: $(VENV)/.dev ## Kill and freeze what a deployment stands on, 20 times each (flags: make chaos ARGS="--runs 1")
	$(BIN)/python -m tests.chaos $(ARGS)

soak: $(VENV)/.dev ## Load a gateway with everything at once and see that nothing of it is left (ARGS="--seconds 600")
	$(BIN)/python -m tests.soak $(ARGS)

streams: $(VENV)/.dev ## Send what no sane client would, and see what it costs others (ARGS="--seconds 3600")
	$(BIN)/python -m tests.streams $(ARGS)

simulate: $(VENV)/.dev ## Run whole deployments under a clock of their own, by seeds (ARGS="--seeds 100000 --from 5000")
	PYTHONPATH=clients/python/src $(BIN)/python -m tests.simulation $(ARGS)

conformance: $(VENV)/.dev ## Hold a client against docs/client-behaviour.md (ARGS="--driver python", typescript, or 'any command')
	$(BIN)/python -m clients.conformance $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, import directions, the container files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src/userline tests bench
	$(BIN)/mypy clients/python/src clients/python/tests
	$(BIN)/mypy clients/typescript/tests
	$(BIN)/mypy clients/react/tests
	$(BIN)/mypy examples/contacts
	$(BIN)/mypy clients/conformance
	PYTHONPATH=clients/python/src $(BIN)/lint-imports --no-cache
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml

bench: $(VENV)/.dev ## Measure speed, as ratios against peers in the same run
	@$(BIN)/python -c 'import sys; from userline.gateway.graphiql.build import find_node; sys.exit(not find_node())' \
		|| $(INSTALL) -r requirements/node.txt
	$(BIN)/python -m bench $(ARGS)

bench-client: $(VENV)/.dev ## Measure how soon a session of the Python client hears of what another has set
	PYTHONPATH=clients/python/src $(BIN)/python -m bench.client $(ARGS)

bench-clients: $(VENV)/.dev ## Measure what the TypeScript client costs, against other clients in the same run
	@$(BIN)/python -c 'import sys; from userline.gateway.graphiql.build import find_node; sys.exit(not find_node())' \
		|| $(INSTALL) -r requirements/node.txt
	$(BIN)/python -m bench.clients $(ARGS)

schema: $(VENV)/.dev ## Export schema/schema.graphql
	$(BIN)/userline schema > schema/schema.graphql.new && mv schema/schema.graphql.new schema/schema.graphql

settings-docs: $(VENV)/.dev ## Write docs/settings.md
	$(BIN)/userline settings --markdown > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

graphiql: $(VENV)/.runtime ## Build GraphiQL's page from its npm packages, unless it is there already
	@$(BIN)/python -c 'import sys; from userline.gateway.graphiql.build import find_node, is_current; \
		sys.exit(not (is_current() or find_node()))' || $(INSTALL) -r requirements/node.txt
	@$(BIN)/python -m userline.gateway.graphiql.build

docs: $(VENV)/.dev ## Build the documentation as a site into docs/_build/html; a link that leads nowhere is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html -c docs . docs/_build/html
	@echo "Open docs/_build/html/index.html"

wheel: $(VENV)/.dev graphiql ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m hatchling build -d dist

client-wheel: $(VENV)/.dev ## Build the wheel and the source distribution of the Python client into dist/
	cd clients/python && ../../$(BIN)/python -m hatchling build -d ../../dist

client-npm: $(VENV)/.dev ## Build the npm packages of the TypeScript client and of its hooks for React into dist/
	@$(BIN)/python -c 'import sys; from userline.gateway.graphiql.build import find_node; sys.exit(not find_node())' \
		|| $(INSTALL) -r requirements/node.txt
	$(BIN)/python scripts/client-npm

release: $(VENV)/.dev graphiql ## Make the files of a release, with checksums and what they are made of, into dist/release
	$(BIN)/python scripts/release $(ARGS)

example: $(VENV)/.dev ## Serve a contact list of 500 people, live, on http://127.0.0.1:5180 (flags: make example ARGS="--port 0")
	@$(BIN)/python -c 'import sys; from userline.gateway.graphiql.build import find_node; sys.exit(not find_node())' \
		|| $(INSTALL) -r requirements/node.txt
	@$(BIN)/python examples/contacts/serve.py $(ARGS)

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(ARGS)
lock: $(VENV)/.dev ## Write the newest versions that fit into requirements/ (with ARGS=--upgrade), addresses left out
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) --group pyproject.toml:build -c requirements/runtime.txt -o requirements/build.txt
	$(LOCK) --group pyproject.toml:node -o requirements/node.txt
	$(LOCK) --group pyproject.toml:valkey -o requirements/valkey.txt
	$(LOCK) tests/outside/rest-python/requirements.in -o tests/outside/rest-python/requirements.txt
	$(LOCK) --group pyproject.toml:dev pyproject.toml -c requirements/runtime.txt -c requirements/build.txt -o requirements/dev.txt

clean: ## Remove everything that was made, except data
	rm -rf $(VENV) dist build docs/_build tests/outside/*/node_modules tests/outside/*/target tests/outside/*/generated \
		tests/outside/*/src/generated tests/outside/cynic/Cargo.lock gateway/graphiql/static gateway/graphiql/web/node_modules tests/*/node_modules clients/*/node_modules clients/*/tests/*/node_modules clients/*/dist examples/*/node_modules examples/*/dist bench/peers/node/node_modules bench/clients/node_modules \
		bench/peers/gqlgen/build bench/peers/gqlgen/generated.go bench/peers/gqlgen/models.go \
		bench/peers/async-graphql/target bench/peers/async-graphql/Cargo.lock
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "userline needs Python 3.11 or newer. Say which one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making a Python environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes
LINK = $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

$(VENV)/.runtime: $(VENV)/bin/python requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing userline and what it runs on (about half a minute) …"
	@$(INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(LINK)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Installing what the tests and checks need (about a minute) …"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
