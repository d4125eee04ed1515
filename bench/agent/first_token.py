"""The time from the first token of a language model until it is in the browser, with a web process and a worker."""

from __future__ import annotations

from collections.abc import Iterator

from bench.agent.installation import TURNS, running_agent
from bench.agent.model_server import ModelServer, model_server
from bench.agent.talking import Browser
from bench.figures import Figure, figure_with_upper_bound, figure_without_target, percentile
from bench.scratch import Installation


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """Yield the median from the model's first token, and the median of the whole way without the model's own time."""
    deliveries, overheads = [], []
    with model_server() as model:
        environment = {
            "DROVER_MODEL": "openai_compatible:bench",
            "DROVER_MODEL_URL": model.url,
        }
        with running_agent(installation, environment) as browser:
            for _ in range(rounds):
                times = [_measure_message(browser, model) for _ in range(TURNS)]
                deliveries.append(percentile([delivery for delivery, _ in times], 0.5))
                overheads.append(percentile([overhead for _, overhead in times], 0.5))
    yield figure_with_upper_bound(
        "model's first token -> browser, p50",
        "a model on loopback that thinks for 200 ms",
        deliveries,
        at_most=60,
        unit="ms",
    )
    yield figure_without_target(
        "message -> first token in the browser, without the model's time, p50",
        "the same messages",
        overheads,
        unit="ms",
    )


def _measure_message(browser: Browser, model: ModelServer) -> tuple[float, float]:
    """Return milliseconds: from the model's first token, and from the message without the model's own time."""
    model.requests.clear()
    started = browser.send("say something")
    arrived, _ = browser.arrival("token", started)
    browser.arrival("done", started)
    received, first_token = model.requests[0]
    return (arrived - first_token) * 1000, (arrived - started - (first_token - received)) * 1000
