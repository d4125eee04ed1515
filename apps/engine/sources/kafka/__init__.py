"""Messages of a Kafka topic."""

from apps.engine.sources.kafka.config import Config
from apps.engine.sources.kafka.source import KafkaTopicSource

KIND = "kafka"
TITLE = "Kafka"
DESCRIPTION = "The messages of a topic, from the beginning or from the end of the last run."
DOCS_URL = "https://kafka.apache.org/documentation/#consumerconfigs"
ICON = "stream"

Source = KafkaTopicSource

__all__ = ["DESCRIPTION", "DOCS_URL", "ICON", "KIND", "TITLE", "Config", "Source"]
