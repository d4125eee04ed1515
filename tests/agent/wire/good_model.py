"""A model that passes the check of language models, in each provider's format. A test gives it one fault."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from enum import StrEnum

from tests.agent.wire.replies import End, Reply, WireCall, WireRequest
from tests.agent.wire.server import KEY

COUNTING = ", ".join(("one", "two", "three", "four", "five", "six", "seven", "eight"))
REQUESTED_CALL = re.compile(r"with the city (\w+) and (\d+) days")
SCHEMA_NAMES = ("json_schema", "responseJsonSchema", "response_json_schema", "responseSchema")


class Fault(StrEnum):
    NONE = "none"
    WRONG_KEY = "wrong_key"
    UNKNOWN_MODEL = "unknown_model"
    NO_STREAM = "no_stream"
    ONE_PART = "one_part"
    CALL_AS_TEXT = "call_as_text"
    NO_CALL = "no_call"
    CUT_CALL = "cut_call"
    WRONG_ARGUMENTS = "wrong_arguments"
    IDS_REPEAT = "ids_repeat"
    NO_SECOND_CALL = "no_second_call"
    CONTEXT_CUT = "context_cut"
    CONTEXT_SMALL = "context_small"
    CONTEXT_FAILS = "context_fails"
    CONTEXT_UNREAD = "context_unread"
    ONE_AT_ONCE = "one_at_once"
    ONE_IS_ENDED = "one_is_ended"
    NOT_STRUCTURED = "not_structured"
    FORM_REJECTED = "form_rejected"


@dataclass
class GoodModel:
    """The script of a wire server. It has to be called with requests of the check."""

    fault: Fault = Fault.NONE
    fired: int = 0  # how often the fault was shown
    open_requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    have_met: threading.Event = field(default_factory=threading.Event)  # two open requests

    def __call__(self, request: WireRequest) -> Reply:
        with self.lock:
            self.open_requests += 1
            is_second = self.open_requests > 1
        if is_second:
            self.have_met.set()
        try:
            return self._reply(request, json.dumps(request.body), is_second=is_second)
        finally:
            with self.lock:
                self.open_requests -= 1

    def _reply(self, request: WireRequest, text: str, *, is_second: bool) -> Reply:
        if KEY not in json.dumps(request.headers) or self._has(Fault.WRONG_KEY):
            return Reply(status=401, message=f"The key {KEY} is not valid.")
        if self._has(Fault.UNKNOWN_MODEL):
            return Reply(status=404, message="There is no such model.")
        if "code word" in text:
            return self._code_words(text)
        if any(name in text for name in SCHEMA_NAMES) and "report_weather" not in text:
            return self._city()
        if calls := REQUESTED_CALL.findall(text):
            return self._call(request.number, *calls[-1], is_second_round=len(calls) > 1)
        if request.number > 0:  # the first request is alone
            self.have_met.wait(5)
        return self._count(is_second=is_second)

    def _has(self, fault: Fault) -> bool:
        self.fired += self.fault == fault
        return self.fault == fault

    def _count(self, *, is_second: bool) -> Reply:
        if is_second and self._has(Fault.ONE_AT_ONCE):
            return Reply(status=429, message="One request at a time.")
        if is_second and self._has(Fault.ONE_IS_ENDED):
            return Reply("one, two", end=End.WITHOUT_REASON)
        if self._has(Fault.ONE_PART):
            return Reply(COUNTING.replace(" ", ""))
        return Reply(COUNTING, is_stream=not self._has(Fault.NO_STREAM))

    def _call(self, number: int, city: str, days: str, *, is_second_round: bool) -> Reply:
        arguments = json.dumps({"city": city, "days": int(days)})
        if self._has(Fault.CALL_AS_TEXT):
            return Reply(f'<tool_call>{{"name": "report_weather", "arguments": {arguments}}}')
        if self._has(Fault.NO_CALL) or (is_second_round and self._has(Fault.NO_SECOND_CALL)):
            return Reply("It will be sunny.")
        if self._has(Fault.CUT_CALL):
            arguments = arguments[:-4]
        if self._has(Fault.WRONG_ARGUMENTS):
            arguments = json.dumps({"city": "Paris", "days": 1})
        call_id = "call_0" if self._has(Fault.IDS_REPEAT) else f"call_{number}"
        return Reply("", (WireCall("report_weather", arguments, id=call_id),))

    def _code_words(self, text: str) -> Reply:
        words = [re.findall(rf"{word}-\d+", text)[0] for word in ("amber", "cobalt")]
        if self._has(Fault.CONTEXT_SMALL):
            return Reply(status=400, message="This model's maximum context length is 4096 tokens.")
        if self._has(Fault.CONTEXT_FAILS):
            return Reply(status=500, message="Requested tokens exceed the window.")
        if self._has(Fault.CONTEXT_CUT):
            words[0] = "amber-0"
        if self._has(Fault.CONTEXT_UNREAD):
            words = ["I", "do not know."]
        return Reply(" and ".join(words))

    def _city(self) -> Reply:
        if self._has(Fault.FORM_REJECTED):
            return Reply(status=500, message="Input should be 'text' or 'json_object'.")
        if self._has(Fault.NOT_STRUCTURED):
            return Reply("It is Lisbon.")
        return Reply(json.dumps({"city": "Lisbon", "country": "Portugal"}))
