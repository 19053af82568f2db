# bulkhead.hardening: `make help` lists what there is.

PYTHON   ?= python3
BUILD    := build
VENV     := $(BUILD)/venv
BIN      := $(abspath $(VENV))/bin
NAME     ?=
COUNT    ?= 1
BESIDE   := $(BUILD)/logs/beside.log
# For what needs no machines; those share two processors themselves.
SIDE_BY_SIDE := --numprocesses 2

SYSTEM_PACKAGES := ca-certificates git openssh-client python3-venv shellcheck
LAB_PACKAGES    := debian-archive-keyring e2fsprogs mmdebstrap qemu-system-x86 qemu-utils uidmap
BROWSER_PACKAGES := chromium fonts-dejavu-core

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(abspath $(BUILD))/collections
export ANSIBLE_INJECT_FACT_VARS := false
export ANSIBLE_HOST_KEY_CHECKING := true
export ANSIBLE_DEPRECATION_WARNINGS := true
export ANSIBLE_LOCALHOST_WARNING := false
export ANSIBLE_PIPELINING := true
# An emulated machine on a busy host may take longer than ten seconds to answer ssh.
export ANSIBLE_TIMEOUT := 60
export PYTHONPATH := $(abspath tests):$(abspath $(BUILD))/collections

.DEFAULT_GOAL := help
.PHONY: help demo test test-all without-machines audit docs lint sanity unit unit-newest lab-up lab-ssh lab-down tools lab-packages browser-packages clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools lab-packages ## audit a careless container host, harden it, audit it again (INVENTORY=… for your own hosts)
	python -m demo $(if $(INVENTORY),--inventory $(INVENTORY))

test: ## everything: lint, sanity, unit tests, molecule scenarios on virtual machines
test-all: ## the same on every platform, with the slow scenarios
test-all: LAB_OPTIONS := --all-platforms
# Two emulated machines leave a part of two processors idle: what needs none runs there, and shows at the end.
test test-all: tools lab-packages browser-packages lint
	@mkdir -p $(BESIDE:%/beside.log=%)
	@echo "beside the machines: sanity and the tests without machines, see $(BESIDE)"
	@nice make --no-print-directory --keep-going sanity unit-newest without-machines >$(BESIDE) 2>&1 & beside=$$!; \
	python -m pytest -m lab --durations 12 $(LAB_OPTIONS); machines=$$?; \
	wait $$beside; beside=$$?; cat $(BESIDE); \
	echo "exit status: with machines $$machines, without $$beside"; test $$machines -eq 0 -a $$beside -eq 0

without-machines: tools
	python -m pytest $(SIDE_BY_SIDE) -m "not lab"

audit: tools ## audit this machine, read-only
	ansible-playbook playbooks/audit.yml -e posture_audit_report_directory=$(abspath $(BUILD))/audit

docs: tools ## write the generated tables of the documentation anew
	python -m catalogue_table
	python -m effects_table

lab-up: tools lab-packages ## start virtual machines: NAME=debian-13 [COUNT=n]
	python -m lab up --count $(COUNT) $(NAME)

lab-ssh: tools ## log in to one: NAME=debian-13
	@python -m lab ssh $(NAME)

lab-down: tools ## end them: [NAME=…]
	python -m lab down $(NAME)

lint: tools ## yamllint, ansible-lint (production), ruff, mypy (strict), changelog
	yamllint --strict .
	ruff check .
	ruff format --check .
	mypy -p ansible_collections.bulkhead.hardening.plugins -p lab -p demo -p sanity -m newest_core -p faults
	antsibull-changelog lint
	ANSIBLE_HOME=$(abspath $(BUILD))/ansible ansible-lint

sanity: tools ## ansible-test sanity
	python -m sanity

unit: tools ## the tests that need no virtual machine
	python -m pytest $(SIDE_BY_SIDE) -m "not lab and not browser"

unit-newest: tools ## those of what runs in Ansible, on the newest ansible-core, where a Python for it is on this machine
	python -m newest_core

tools: $(VENV)/.complete $(BUILD)/collections/ansible_collections/bulkhead/hardening

$(VENV)/.complete: tests/requirements.txt tests/bootstrap.sh
	@tests/bootstrap.sh $(SYSTEM_PACKAGES)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	@touch $@

# Ansible and the tests import the collection by its full name; the link makes the checkout that collection.
$(BUILD)/collections/ansible_collections/bulkhead/hardening:
	@mkdir -p $(@D)
	@ln -s $(CURDIR) $@

lab-packages:
	@tests/bootstrap.sh $(LAB_PACKAGES)

browser-packages:
	@tests/bootstrap.sh $(BROWSER_PACKAGES)

clean: ## remove what was built (lab machines are ended first)
	@if [ -d $(BUILD)/lab ]; then python -m lab down; fi
	rm -rf $(BUILD)
