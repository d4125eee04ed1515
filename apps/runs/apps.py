from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "apps.runs"

    def ready(self) -> None:
        from apps.live import subjects
        from apps.runs.following import feed

        subjects.register(feed.RUN_SUBJECT)
