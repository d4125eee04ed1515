from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "apps.runs"

    def ready(self) -> None:
        from apps.live import subjects
        from apps.runs import endings
        from apps.runs.dependents import starting
        from apps.runs.following import feed
        from apps.runs.overview import attention, pipeline_items

        subjects.register(feed.RUN_SUBJECT)
        for provider in pipeline_items.PROVIDERS:
            attention.add_provider(provider)
        endings.add_listener(starting.on_end)
