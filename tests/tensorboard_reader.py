"""What TensorBoard itself reads of a folder."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

# TensorBoard takes TensorFlow where that is installed, unless this module exists.
sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))

ALL_STATES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


def accumulate(path: Path | str) -> Any:
    """The accumulator of one run, without the sampling of long curves."""
    from tensorboard.backend.event_processing import plugin_event_accumulator

    accumulator = plugin_event_accumulator.EventAccumulator(str(path), size_guidance={"tensors": 0})
    return accumulator.Reload()


def curve(accumulator: Any, tag: str) -> list[tuple[int, float]]:
    """(step, value) of a scalar."""
    from tensorboard.util.tensor_util import make_ndarray

    plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
    assert plugin == "scalars", f"{tag} is of {plugin}"
    points = accumulator.Tensors(tag)
    return [(point.step, float(make_ndarray(point.tensor_proto))) for point in points]


def histograms(accumulator: Any, tag: str) -> dict[int, np.ndarray]:
    """[buckets, 3] by step."""
    from tensorboard.util.tensor_util import make_ndarray

    plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
    assert plugin == "histograms", f"{tag} is of {plugin}"
    return {point.step: make_ndarray(point.tensor_proto) for point in accumulator.Tensors(tag)}


def _context(log_dir: Path) -> Any:
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin

    runs = plugin_event_multiplexer.EventMultiplexer(purge_orphaned_data=True)
    runs.AddRunsFromDirectory(str(log_dir))
    runs.Reload()
    provider = data_provider.MultiplexerDataProvider(runs, str(log_dir))
    return base_plugin.TBContext(data_provider=provider, logdir=str(log_dir))


def sessions(log_dir: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any], str]]:
    """What the HPARAMS tab shows: by run, its parameters, its metrics and its state."""
    from tensorboard.context import RequestContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    request = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=ALL_STATES)
    backend = backend_context.Context(_context(log_dir))
    response = list_session_groups.Handler(RequestContext(), backend, "", request).run()
    found = {}
    for group in response.session_groups:
        (session,) = group.sessions
        parameters = {
            name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()
        }
        metrics = {
            "/".join(filter(None, (value.name.group, value.name.tag))): value.value
            for value in group.metric_values
        }
        found[session.name] = (parameters, metrics, api_pb2.Status.Name(session.status))
    return found


def ticked(log_dir: Path) -> tuple[list[str], list[str]]:
    """The columns of HPARAMS that are ticked when the tab is opened: parameters, and metrics.

    They come from its HTTP route. The page ticks the first five metrics, and the first five of the
    parameters when those that differ between runs come first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what TensorBoard imports
        from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
    from werkzeug.test import Client

    route = HParamsPlugin(_context(log_dir)).get_plugin_apps()["/experiment"]
    response = Client(route).post(
        "/experiment", json={"experimentName": "", "includeMetrics": True}
    )
    assert response.status_code == 200, response.text
    found = response.json
    parameters = sorted(found["hparamInfos"], key=lambda info: not info.get("differs", False))
    names = [info["name"] for info in found["metricInfos"]]
    metrics = ["/".join(filter(None, (name.get("group"), name["tag"]))) for name in names]
    return [info["name"] for info in parameters[:5]], metrics[:5]


class Projector:
    """The PROJECTOR tab, asked over its HTTP routes."""

    def __init__(self, log_dir: Path) -> None:
        from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin

        self._routes = ProjectorPlugin(_context(log_dir)).get_plugin_apps()

    def _get(self, route: str, **query: str) -> Any:
        from werkzeug.test import Client

        response = Client(self._routes[route]).get(route, query_string=query)
        assert response.status_code == 200, response.text
        return response

    def runs(self) -> list[str]:
        """The runs that have something to show."""
        found: list[str] = self._get("/runs").json
        return sorted(found)

    def _embeddings(self, run: str) -> dict[str, Any]:
        embeddings = self._get("/info", run=run).json["embeddings"]
        return {embedding["tensorName"]: embedding for embedding in embeddings}

    def names(self, run: str) -> list[str]:
        """The matrices of a run."""
        return list(self._embeddings(run))

    def tensor(self, run: str, name: str) -> np.ndarray:
        """[n, d] float32."""
        shape = self._embeddings(run)[name]["tensorShape"]
        data = self._get("/tensor", run=run, name=name).data
        return np.frombuffer(data, np.float32).reshape(shape)

    def metadata(self, run: str, name: str) -> list[list[str]]:
        """The cells of the table, its head first."""
        text = self._get("/metadata", run=run, name=name).text
        return [line.split("\t") for line in text.splitlines()]
