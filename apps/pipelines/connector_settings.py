"""What happens to pipelines when the settings of a connector change, and how many pipelines use a connector."""

from __future__ import annotations

from apps.connectors import services as connectors
from apps.pipelines import targets, visibility

connectors.watch_settings(targets.change_of_connector)
connectors.count_pipelines_with(visibility.count_by_connector)
