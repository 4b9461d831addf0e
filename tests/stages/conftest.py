"""Lets stage commands share workers."""

import contextlib

import pytest


@pytest.fixture
def shared_cluster(client, monkeypatch):
    """Lets the stages use the tests' own workers: starting new ones takes seconds."""

    def open_cluster(*, num_workers, scheduler):
        return contextlib.nullcontext(client)

    monkeypatch.setattr("stages.training.open_cluster", open_cluster)
    monkeypatch.setattr("stages.train.open_cluster", open_cluster)
    monkeypatch.setattr("stages.parity.open_cluster", open_cluster)
