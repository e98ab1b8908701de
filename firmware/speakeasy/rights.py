"""Who may ask for what over the session (SPEC 2.4): the one table."""

from .settings import GUEST, OWNER

NEW = "new"  # proved a setup code or an invite, not enrolled yet

TABLE = {
    "enrol": (NEW,),
    "confirm": (NEW,),
    "bye": (NEW, OWNER, GUEST),
    "status": (OWNER, GUEST),
    "counters": (OWNER, GUEST),
    "blocked": (OWNER, GUEST),
    "token": (OWNER, GUEST),
    "leave": (OWNER, GUEST),
    "phones": (OWNER,),
    "rename": (OWNER,),
    "invite": (OWNER,),
    "uninvite": (OWNER,),
    "revoke": (OWNER,),
    "scan": (OWNER,),
    "join": (OWNER,),
    "networks": (OWNER,),
    "forget": (OWNER,),
    "segment": (OWNER,),
    "addressing": (OWNER,),
    "services": (OWNER,),
    "ethernet": (OWNER,),
    "setup": (OWNER,),
    "log": (OWNER,),
    "reboot": (OWNER,),
    "reset": (OWNER,),
}


def known(op) -> bool:
    """Whether there is an operation of that name."""
    return isinstance(op, str) and op in TABLE


def allowed(op: str, role: str | None) -> bool:
    """Whether a session of that role (None: a phone that was revoked) may ask for `op`."""
    return role is not None and role in TABLE.get(op, ())
