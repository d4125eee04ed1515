from django.apps import AppConfig


class AgentConfig(AppConfig):
    name = "apps.agent"

    def ready(self) -> None:
        from apps.agent.approvals.attention import open_approvals, open_tool_requests
        from apps.agent.conversations.feed import CONVERSATION
        from apps.live import subjects
        from apps.runs.overview.attention import add_provider

        subjects.register(CONVERSATION)
        add_provider(open_approvals)
        add_provider(open_tool_requests)
