"""The user of a case, who decides about requests and answers questions as the case says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluations.case import Case
from evaluations.scene import Scene
from tests.agent.conversing import Talk

MAX_DECISIONS = 15  # in one turn
NO_ANSWER = "I do not know. Decide yourself, or say that it is not possible."
REJECTION = "I did not ask for this."


class Person:
    """Approves each call once that the case names, and rejects everything else."""

    def __init__(self, case: Case, scene: Scene) -> None:
        self._case, self._scene = case, scene
        self._approvals, self._answers = list(case.approves), list(case.answers)

    def converse(self, talk: Talk) -> None:
        """Send the messages one after the other, and decide the requests of each turn."""
        for message in self._case.messages:
            talk.send(self._scene.resolve(message), page=self._scene.resolve(self._case.page))
            talk.work()
            for _ in range(MAX_DECISIONS):
                request = _first_open_request(talk)
                if request is None:
                    break
                self._decide(talk, request)
                talk.work()

    def _decide(self, talk: Talk, request: Any) -> None:
        own = self._case.decide(self._scene, talk, request) if self._case.decide else None
        body = dict(own or self._decision(request))
        response = talk.decide(request["id"], body.pop("decision"), **body)
        if response.status_code != 200:
            raise AssertionError(f"the decision was refused: {response.json()}")

    def _decision(self, request: Any) -> Mapping[str, Any]:
        if request["type"] == "question":
            text = self._answers.pop(0) if self._answers else NO_ANSWER
            return {"decision": "answer", "answer": {"text": self._scene.resolve(text)}}
        if request["tool"] in self._approvals:
            self._approvals.remove(request["tool"])
            return {"decision": "approve"}
        return {"decision": "reject", "reason": REJECTION}


def _first_open_request(talk: Talk) -> Any:
    return next((item for item in talk.turn()["items"] if item.get("state") == "open"), None)
