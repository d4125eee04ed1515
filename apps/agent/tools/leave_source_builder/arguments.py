from apps.agent.tools.base import Arguments


class LeaveSourceBuilder(Arguments):
    pass
