"""What happens to pipelines when the settings of a connector change, and which pipelines use a connector."""

from __future__ import annotations

from apps.connectors import services as connectors
from apps.pipelines import targets, visibility

connectors.watch_settings(targets.change_of_connector)
connectors.read_usage_with(visibility.usage_by_connector)
