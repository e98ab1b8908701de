"""The operations about the bridge itself (SPEC 2.4): how it is, what happened, and its ends."""

import machine

from . import eventlog, factory
from .eventlog import log
from .request import Caller, Refusal, page_of, paged
from .settings import OWNER


class BridgeOperations:
    """One method an operation, `do_` and its name."""

    def __init__(self, identity, phones, policy, status, files, reached) -> None:
        self._identity = identity
        self._phones = phones
        self._policy = policy
        self._status = status
        self._files = files
        self._reached = reached

    def do_status(self, caller: Caller, request: dict) -> dict:
        """All about the bridge; its leases in pages. The first one tells where it is on the network."""
        answer = paged(self._status.answer(), "leases", self._status.leases(), request)
        if not page_of(request) and self._phones.find(caller.key_id.hex())["role"] == OWNER:
            self._reached.by_owner()
        return answer

    def do_counters(self, _caller: Caller, request: dict) -> dict:
        """What the filter counted, by name, in pages."""
        counted = [(name, count) for name, count in sorted(self._policy.counters().items()) if count > 0]
        answer = paged({}, "counters", counted, request)
        answer["counters"] = dict(answer["counters"])
        return answer

    def do_blocked(self, _caller: Caller, _request: dict) -> dict:
        """What the filter dropped lately, by hour and group."""
        return self._policy.blocked.answer()

    def do_log(self, caller: Caller, request: dict) -> dict:
        """What happened, newest first. Further pages go on where the first one began: new lines do not move them."""
        if not page_of(request):
            caller.log_mark = eventlog.count()
        return paged({}, "lines", eventlog.newest(caller.log_mark), request)

    def do_reboot(self, caller: Caller, _request: dict) -> dict:
        """The bridge answers, disconnects, starts again."""
        log("operations", "an owner starts the bridge again")
        caller.afterwards = machine.reset
        caller.leaving = True
        return {}

    def do_reset(self, caller: Caller, request: dict) -> dict:
        """The bridge answers, disconnects, forgets everybody and everything, starts again."""
        if request.get("bridge") != self._identity.bridge_id.hex():
            raise Refusal("bad-request", "A reset forgets all phones: confirm it with the id of this bridge.")
        # Decided before it is answered: what a phone was told comes true, whatever happens to the power.
        factory.decide(self._files)
        caller.afterwards = self._erase
        caller.leaving = True
        return {}

    def do_bye(self, caller: Caller, _request: dict) -> dict:
        """The bridge disconnects after the answer."""
        caller.leaving = True
        return {}

    def _erase(self) -> None:
        factory.run(self._files, machine.reset)
