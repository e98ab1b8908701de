"""Runs a script of frames through the filter and compares every verdict and every frame that comes out.

One line a step:

    port: frame                          -> verdict
    port: frame                          -> verdict -> port: frame [& port: frame ...]
    ! action                             lease phone, end phone, wait 1000, speaker none, ...

`port: ~` is the frame that came in, as it has to go out there: other MACs, and a TTL lower by one between uplink and
segment; words after it change it (`~ ttl=64`). What is not written must not happen: every frame put out is compared.
"""

import re
from collections.abc import Callable

from core import Config, Filter
from frames import address, frame, mac_of, show

DEFAULT = Config()


def start(pf: Filter, config: Config = DEFAULT) -> None:
    pf.configure(config)
    pf.speaker(mac_of("S"))


def know(pf: Filter, name: str) -> None:
    """The filter has asked for the MAC by which it reaches a machine, and got it."""
    pf.input("segment", frame("segment", f"udp S:9 > {name}:53"))
    hop = name if name in ("dns", "router") else "router"
    assert pf.input("uplink", frame("uplink", f"arp {hop} is-at {hop} to X")) in ("arp_learned", "drop_arp_unasked")
    pf.out()


def _lease(pf: Filter, name: str, *words: str) -> None:
    options = dict(w.split("=") for w in words)
    m = options.get("mac", name)
    assert pf.lease_add(address(name), None if m == "none" else mac_of(m), int(options.get("ttl", "43200"))) >= 0


def _action(pf: Filter, text: str) -> None:
    name, *args = text.split()
    actions: dict[str, Callable[..., object]] = {
        "lease": lambda who, *w: _lease(pf, who, *w),
        "end": lambda who: pf.lease_end(address(who)),
        "wait": lambda ms: pf.wait(int(ms)),
        "jump": lambda ms: pf.jump(int(ms)),
        "speaker": lambda who: pf.speaker(None if who == "none" else mac_of(who)),
        "know": lambda who: know(pf, who),
        "forget-output": pf.out,
        "services": lambda *w: pf.services(*((int(p), int(q)) for p, q in (s.split("/") for s in w))),
        "no-uplink": lambda: pf.configure(
            Config(addr="0.0.0.0", mask="0.0.0.0", router="0.0.0.0", dns=(), claim_port=DEFAULT.claim_port)
        ),
        "uplink": lambda addr: pf.configure(Config(addr=addr)),
        "private": lambda: pf.configure(Config(speaker="192.168.77.2")),
    }
    actions[name](*args)


def expand(text: str, came: str, came_at: str, goes: str) -> str:
    if not text.startswith("~"):
        return text
    extra = text[1:].strip()
    keep = "uplink" in came_at and "uplink" in goes  # between host and uplink the MACs stay
    same = re.sub(r" (pad|cut)=\S+" if keep else r" (from|to|pad|cut)=\S+", "", came)
    if came_at != goes and {came_at, goes} == {"uplink", "segment"} and "ttl=" not in extra:
        ttl = re.search(r" ttl=(\d+)", re.sub(r"about \(.*\)", "", same))
        extra += f" ttl={int(ttl[1]) - 1 if ttl else 63}"
        same = re.sub(r" ttl=\d+(?![^(]*\))", "", same)
    for word in extra.split():
        key = word.split("=")[0]
        same = re.sub(rf" {key}=\S+(?![^(]*\))", "", same)
    return f"{same} {extra}".strip()


def step(pf: Filter, line: str) -> None:
    came, *wanted = [part.strip() for part in line.split("->")]
    port, _, text = came.partition(":")
    verdict = pf.input(port.strip(), frame(port.strip(), text.strip()))
    out = pf.out()
    assert verdict == wanted[0], f"{line}\n  verdict {verdict}, not {wanted[0]}"
    expected = []
    for item in wanted[1].split(" & ") if len(wanted) > 1 else []:
        goes, _, what = item.strip().partition(":")
        expected.append((goes.strip(), frame(goes.strip(), expand(what.strip(), text.strip(), port, goes), False)))
    got = "\n".join(f"    {p}: {show(f)}" for p, f in out)
    want = "\n".join(f"    {p}: {show(f)}" for p, f in expected)
    assert out == expected, f"{line}\n  went out:\n{got}\n  should have:\n{want}"


def run(pf: Filter, script: str) -> None:
    for raw in script.strip().splitlines():
        line = raw.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("!"):
            for action in line[1:].split(";"):
                _action(pf, action.strip())
        else:
            step(pf, line)
        pf.check()
