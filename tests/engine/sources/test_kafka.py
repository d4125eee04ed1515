"""The Kafka source with librdkafka's mock cluster, which uses real sockets and the real protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from bizon.source.models import SourceIncrementalState
from confluent_kafka import Producer

from apps.egress.exceptions import EgressError
from apps.engine.failures import ConfigurationError, SourceError
from apps.engine.sources.http.responses import PermanentSourceError
from tests.engine.sources.reading import make_source, read_stream

PARTITIONS = 4  # the mock cluster's default for a new topic


class Cluster:
    """The mock cluster, which librdkafka runs inside a producer."""

    def __init__(self) -> None:
        self.producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        metadata = self.producer.list_topics(timeout=10)
        broker = next(iter(metadata.brokers.values()))
        self.address = f"{broker.host}:{broker.port}"

    def create_topic(self) -> str:
        name = f"topic-{uuid4().hex[:8]}"
        self.producer.list_topics(name, timeout=10)
        return name

    def send(self, topic: str, values: list[Any], partition: int | None = None) -> None:
        for number, value in enumerate(values):
            body = value if isinstance(value, bytes | None) else json.dumps(value).encode()
            self.producer.produce(
                topic,
                body,
                key=json.dumps({"id": number}),
                partition=number % PARTITIONS if partition is None else partition,
            )
        assert self.producer.flush(10) == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    mock_cluster = Cluster()
    yield mock_cluster
    mock_cluster.producer.flush(1)


def make_kafka_source(
    cluster: Cluster, topic: str, *, allow_private: bool = True, **config: Any
) -> Any:
    spec = {"sync_mode": config.pop("sync_mode", "full_refresh")}
    base = {
        "bootstrap_servers": cluster.address,
        "security_protocol": "PLAINTEXT",
        "batch_size": 7,
        "consumer_timeout": 5,
    }
    return make_source("kafka", {**base, **config}, topic, allow_private=allow_private, **spec)


def sorted_numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["value"]["n"] for row in rows)


def test_every_message_of_every_partition_is_read_once(cluster: Cluster) -> None:
    topic = cluster.create_topic()
    cluster.send(topic, [{"n": n} for n in range(60)])
    source = make_kafka_source(cluster, topic)
    assert source.get_total_records_count() == 60
    full_read = read_stream(source)
    assert sorted_numbers(full_read.rows) == list(range(60))
    assert len(full_read.pages) > 3
    source.close()


def test_reading_can_resume_at_any_token(cluster: Cluster) -> None:
    topic = cluster.create_topic()
    cluster.send(topic, [{"n": n} for n in range(40)])
    full_read = read_stream(make_kafka_source(cluster, topic))
    for position in (1, 3, len(full_read.tokens) - 1):
        earlier_rows = [row for page in full_read.pages[:position] for row in page]
        resumed_read = read_stream(
            make_kafka_source(cluster, topic), token=full_read.tokens[position]
        )
        assert sorted_numbers(earlier_rows + resumed_read.rows) == list(range(40))


def test_the_next_run_reads_only_newer_messages(cluster: Cluster) -> None:
    topic = cluster.create_topic()
    cluster.send(topic, [{"n": n} for n in range(10)])
    first = read_stream(make_kafka_source(cluster, topic, sync_mode="incremental"))
    cluster.send(topic, [{"n": n} for n in range(10, 15)], partition=2)
    second = read_stream(make_kafka_source(cluster, topic, sync_mode="incremental"), first.state)
    assert sorted_numbers(second.rows) == list(range(10, 15))
    third = read_stream(make_kafka_source(cluster, topic, sync_mode="incremental"), second.state)
    assert (third.rows, third.state) == ([], second.state)


def test_messages_after_a_page_of_empty_messages_are_read(cluster: Cluster) -> None:
    topic = cluster.create_topic()
    cluster.send(topic, [*([None] * 30), {"n": 1}], partition=0)
    assert sorted_numbers(read_stream(make_kafka_source(cluster, topic)).rows) == [1]


@pytest.mark.parametrize("offsets", [{"0": 1000}, {"0": 2, "9": 5}])
def test_k1_a_topic_that_ends_before_the_saved_offset_asks_for_a_reset(
    cluster: Cluster, offsets: dict[str, int]
) -> None:
    """Case K1: the topic was recreated with fewer messages, or with fewer partitions."""
    topic = cluster.create_topic()
    cluster.send(topic, [{"n": 1}, {"n": 2}], partition=0)
    state = SourceIncrementalState(last_run=datetime.now(UTC), state={"offsets": offsets})
    with pytest.raises(PermanentSourceError, match="reset the stream") as raised:
        make_kafka_source(cluster, topic).get_records_after(state)
    assert "it ends at" in raised.value.evidence[0]


def test_an_empty_topic_is_read_as_one_empty_page(cluster: Cluster) -> None:
    result = read_stream(make_kafka_source(cluster, cluster.create_topic()))
    assert (result.rows, len(result.pages)) == ([], 1)


def test_topics_are_discovered(cluster: Cluster) -> None:
    topic = cluster.create_topic()
    streams = {stream.name: stream for stream in make_kafka_source(cluster, "").discover()}
    assert streams[topic].primary_key == ("partition", "offset")
    assert all(step.ok for step in make_kafka_source(cluster, topic).check())


def raised_error(source: Any, error_type: Any) -> Any:
    with pytest.raises(error_type) as raised:
        source.get()
    return raised.value


def test_a_message_that_is_not_json_is_a_source_failure_unless_skipped(
    cluster: Cluster,
) -> None:
    topic = cluster.create_topic()
    cluster.send(topic, [b"not json", {"n": 1}], partition=0)
    raised_error(make_kafka_source(cluster, topic), SourceError)
    skipping_source = make_kafka_source(cluster, topic, skip_message_on_decode_error=True)
    assert sorted_numbers(read_stream(skipping_source).rows) == [1]
    page: Any = make_kafka_source(cluster, topic, skip_message_on_decode_error=True).get()
    [skipped] = page.left_out.kept("skipped")
    assert skipped.reason == "the message cannot be decoded"
    assert '"value": "' in skipped.record


def test_brokers_in_private_networks_are_refused(cluster: Cluster) -> None:
    error = raised_error(make_kafka_source(cluster, "any", allow_private=False), EgressError)
    assert "is refused" in error.message


def test_unreachable_brokers_are_a_source_failure(cluster: Cluster) -> None:
    error = raised_error(
        make_kafka_source(cluster, "any", bootstrap_servers="127.0.0.1:1", consumer_timeout=1),
        SourceError,
    )
    assert error.retryable
    assert error.evidence


def test_sasl_protocols_need_authentication_settings(cluster: Cluster) -> None:
    error = raised_error(
        make_kafka_source(cluster, "any", security_protocol="SASL_SSL"), ConfigurationError
    )
    assert "authentication" in error.message


@pytest.mark.parametrize(
    "name", ["plugin.library.paths", "sasl.kerberos.kinit.cmd", "consumer_config"]
)
def test_librdkafkas_dangerous_settings_cannot_be_set(cluster: Cluster, name: str) -> None:
    settings = {"bootstrap_servers": cluster.address, name: "evil.so"}
    with pytest.raises(ConfigurationError, match="not valid"):
        make_source("kafka", settings, "any")
