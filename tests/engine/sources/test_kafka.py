"""The Kafka source with librdkafka's own mock cluster: real sockets and protocol, without a broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from apps.egress.exceptions import EgressError
from apps.engine.failures import ConfigurationError, SourceError
from tests.engine.sources.reading import build, read

PARTITIONS = 4  # the mock cluster's default for a new topic


class Cluster:
    """A producer that runs the mock cluster."""

    def __init__(self) -> None:
        self.producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
        metadata = self.producer.list_topics(timeout=10)
        broker = next(iter(metadata.brokers.values()))
        self.address = f"{broker.host}:{broker.port}"

    def topic(self) -> str:
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
    made = Cluster()
    yield made
    made.producer.flush(1)


def source(cluster: Cluster, topic: str, *, private: bool = True, **config: Any) -> Any:
    spec = {"sync_mode": config.pop("sync_mode", "full_refresh")}
    base = {
        "bootstrap_servers": cluster.address,
        "security_protocol": "PLAINTEXT",
        "batch_size": 7,
        "consumer_timeout": 5,
    }
    return build("kafka", {**base, **config}, topic, private=private, **spec)


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["value"]["n"] for row in rows)


def test_every_message_of_every_partition_is_read_once(cluster: Cluster) -> None:
    topic = cluster.topic()
    cluster.send(topic, [{"n": n} for n in range(60)])
    reader = source(cluster, topic)
    assert reader.get_total_records_count() == 60
    whole = read(reader)
    assert numbers(whole.rows) == list(range(60))
    assert len(whole.pages) > 3
    reader.close()


def test_reading_again_from_any_token_gives_exactly_the_rest(cluster: Cluster) -> None:
    topic = cluster.topic()
    cluster.send(topic, [{"n": n} for n in range(40)])
    whole = read(source(cluster, topic))
    for position in (1, 3, len(whole.tokens) - 1):
        before = [row for page in whole.pages[:position] for row in page]
        rest = read(source(cluster, topic), token=whole.tokens[position])
        assert numbers(before + rest.rows) == list(range(40))


def test_the_next_run_reads_only_what_came_since(cluster: Cluster) -> None:
    topic = cluster.topic()
    cluster.send(topic, [{"n": n} for n in range(10)])
    first = read(source(cluster, topic, sync_mode="incremental"))
    cluster.send(topic, [{"n": n} for n in range(10, 15)], partition=2)
    second = read(source(cluster, topic, sync_mode="incremental"), first.state)
    assert numbers(second.rows) == list(range(10, 15))
    third = read(source(cluster, topic, sync_mode="incremental"), second.state)
    assert (third.rows, third.state) == ([], second.state)


def test_a_page_of_empty_messages_is_not_the_end(cluster: Cluster) -> None:
    topic = cluster.topic()
    cluster.send(topic, [*([None] * 30), {"n": 1}], partition=0)
    assert numbers(read(source(cluster, topic)).rows) == [1]


def test_an_empty_topic_ends_at_once(cluster: Cluster) -> None:
    found = read(source(cluster, cluster.topic()))
    assert (found.rows, len(found.pages)) == ([], 1)


def test_topics_are_discovered(cluster: Cluster) -> None:
    topic = cluster.topic()
    streams = {stream.name: stream for stream in source(cluster, "").discover()}
    assert streams[topic].primary_key == ("partition", "offset")
    assert all(step.ok for step in source(cluster, topic).check())


def failure(reader: Any, kind: Any) -> Any:
    with pytest.raises(kind) as caught:
        reader.get()
    return caught.value


def test_a_message_that_is_not_json_is_a_source_failure_unless_passed_over(
    cluster: Cluster,
) -> None:
    topic = cluster.topic()
    cluster.send(topic, [b"not json", {"n": 1}], partition=0)
    failure(source(cluster, topic), SourceError)
    tolerant = source(cluster, topic, skip_message_on_decode_error=True)
    assert numbers(read(tolerant).rows) == [1]


def test_brokers_in_private_networks_are_refused(cluster: Cluster) -> None:
    error = failure(source(cluster, "any", private=False), EgressError)
    assert "is refused" in error.message


def test_brokers_that_are_not_there_are_a_source_failure(cluster: Cluster) -> None:
    error = failure(
        source(cluster, "any", bootstrap_servers="127.0.0.1:1", consumer_timeout=1), SourceError
    )
    assert error.retryable
    assert error.evidence


def test_a_login_is_required_by_the_sasl_protocols(cluster: Cluster) -> None:
    error = failure(source(cluster, "any", security_protocol="SASL_SSL"), ConfigurationError)
    assert "authentication" in error.message


@pytest.mark.parametrize(
    "name", ["plugin.library.paths", "sasl.kerberos.kinit.cmd", "consumer_config"]
)
def test_librdkafkas_dangerous_settings_cannot_be_set(cluster: Cluster, name: str) -> None:
    settings = {"bootstrap_servers": cluster.address, name: "evil.so"}
    with pytest.raises(ConfigurationError, match="not valid"):
        build("kafka", settings, "any")
