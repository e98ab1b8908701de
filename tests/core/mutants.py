#!/usr/bin/env python3
"""Would the tests notice? Changes one line of the core at a time, and runs tests/core and the differential test on it.

    mutants.py                 all of them
    mutants.py 3 17            these
    mutants.py --quick         without the slow tests: not all that survive this survive
    mutants.py --list

Each mutant names its file, a whole line and what stands there instead. A line that is not there exactly once ends the
run: it has changed, and the list has to follow. Exit status 1 when a mutant survives. Not part of `make test`: it takes
long.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "firmware" / "pktfilter"
WORK = HERE.parents[1] / "build" / "mutants"
FLAGS = ["-std=c99", "-g", "-O1", "-fPIC", "-w"]
FIRST = ["verdicts", "flows", "edges", "modes", "fragments", "limits"]  # the quickest to kill
OWN_BUILD = ("test_fuzz.py", "test_model.py", "test_spec.py")  # these do not test the library that is given
LIMIT_S = 900
TESTS_NEED = ("pytest", "hypothesis", "scapy")


@dataclass(frozen=True)
class Mutant:
    file: str
    function: str
    before: str
    after: str


MUTANTS = [
    Mutant(
        "pf.c",
        "pf_configure",
        "const bool moved = old->addr != cfg->addr || old->mask != cfg->mask || old->router != cfg->router;",
        "const bool moved = old->addr != cfg->addr || old->mask != cfg->mask;",
    ),
    Mutant(
        "pf_ip.c",
        "pf_parse",
        "if (total < PF_IP || total > len - PF_ETH) {",
        "if (total < PF_IP || total > len) {",
    ),
    Mutant(
        "pf_core.h",
        "pf_is_nobody",
        "return first == 0 || first == 127 || first >= 224;",
        "return first == 0 || first == 127 || first >= 240;",
    ),
    Mutant(
        "pf_tcp.c",
        "pf_tcp_track",
        "if (end - sent + window > 2 * window) {",
        "if (end - sent + window >= 2 * window) {",
    ),
    Mutant(
        "pf_tcp.c",
        "pf_tcp_track",
        "if (f->u.end[other] - be32(p->l4 + PF_TCP_ACK) > 2 * window_of(f, from)) {",
        "if (f->u.end[other] - be32(p->l4 + PF_TCP_ACK) > 2 * window_of(f, other)) {",
    ),
    Mutant("pf_tcp.c", "track_rst", "} else if (seq != f->u.end[from]) {", "} else if (seq - f->u.end[from] > 1) {"),
    Mutant("pf_tcp.c", "track_syn", "f->scale = 0; /* both or none (RFC 7323, 2.2) */", "f->scale &= 0xff;"),
    Mutant(
        "pf_tcp.c",
        "pf_tcp_opens_anew",
        "return is_over(f) && from == opener && pf_tcp_is_syn(flags);",
        "return is_over(f) && (from == opener || from != opener) && pf_tcp_is_syn(flags);",
    ),
    Mutant(
        "pf_forward.c",
        "pf_flow_sender",
        "return in && pf_is_claim(f->kind, f->peer) && "
        "!pf_mac_eq(p->frame + 6, f->u.mac) ? PF_C_drop_flow_mac : PF_C_none;",
        "return !in && pf_is_claim(f->kind, f->peer) && "
        "!pf_mac_eq(p->frame + 6, f->u.mac) ? PF_C_drop_flow_mac : PF_C_none;",
    ),
    Mutant(
        "pf_forward.c",
        "check",
        "if (c == PF_C_none && (f->kind & PF_KIND_SPEAKER) != 0 && p->frame[PF_O_TTL] <= 1) {",
        "if (c == PF_C_none && (f->kind & PF_KIND_SPEAKER) != 0 && p->frame[PF_O_TTL] < 1) {",
    ),
    Mutant(
        "pf_forward.c",
        "renews",
        "return side == PF_FROM_OWNER || pf_is_lease(f->peer);",
        "return side == PF_FROM_OWNER || pf_is_lease(f->peer) || p->proto == PF_UDP;",
    ),
    Mutant(
        "pf_forward.c",
        "pf_hit_out",
        "if (f->peer != PF_NO_PEER) {",
        "if (f->peer != PF_NO_PEER) { peer->seen = pf->now;",
    ),
    Mutant(
        "pf_flow.c",
        "pf_flow_expired",
        "return pf->now - f->seen > limit * 1000;",
        "return pf->now - f->seen >= limit * 1000;",
    ),
    Mutant(
        "pf_flow.c",
        "take",
        "if (f == NULL && pf->class_count[PF_CLASS_FREE] > 0 && (phone || others < PF_FLOWS - PF_PHONE_SHARE)) {",
        "if (f == NULL && pf->class_count[PF_CLASS_FREE] > 0 && (phone || others <= PF_FLOWS - PF_PHONE_SHARE)) {",
    ),
    Mutant(
        "pf_flow.c",
        "take",
        "unsigned order = others < PF_OTHER_SHARE ? FROM_PHONES : phone ? FROM_OTHERS : OWN;",
        "unsigned order = others <= PF_OTHER_SHARE ? FROM_PHONES : phone ? FROM_OTHERS : OWN;",
    ),
    Mutant(
        "pf_flow.c",
        "victim_of",
        "if (k < PF_FLOWS && pf->now - pf->flow[k].seen > pf->now - first->seen) {",
        "if (k < PF_FLOWS && pf->now - pf->flow[k].seen < pf->now - first->seen) {",
    ),
    Mutant(
        "pf_flow.c",
        "claim_victim",
        "if (claims_of(pf) < PF_CLAIM_FLOWS) {",
        "if (claims_of(pf) <= PF_CLAIM_FLOWS) {",
    ),
    Mutant(
        "pf_flow.c",
        "claim_victim",
        "const bool many = pf->class_count[PF_CLASS_CLAIM_LOOSE] >= PF_CLAIM_FLOWS / 2;",
        "const bool many = pf->class_count[PF_CLASS_CLAIM_LOOSE] > PF_CLAIM_FLOWS / 2;",
    ),
    Mutant(
        "pf_flow.c",
        "pf_flow_open",
        "pf->claim_next[f->scale] = be32(p->l4 + PF_TCP_SEQ) + 1;",
        "pf->claim_next[f->scale] = be32(p->l4 + PF_TCP_SEQ);",
    ),
    Mutant("pf_flow.c", "is_long", "return n >= PF_CHAIN_MAX;", "return n > PF_CHAIN_MAX;"),
    Mutant(
        "pf_flow.c",
        "pf_flow_classify",
        "to = settled && room ? PF_CLASS_PHONE_PROTECTED : PF_CLASS_PHONE_LOOSE;",
        "to = settled ? PF_CLASS_PHONE_PROTECTED : PF_CLASS_PHONE_LOOSE;",
    ),
    Mutant(
        "pf_map.c",
        "another",
        "b[1] = (uint8_t)((random & 0xfe) | parity);",
        "b[1] = (uint8_t)(random | parity);",
    ),
    Mutant("pf_map.c", "pf_map_put", "if (--m->flows > 0) {", "if (--m->flows > 1) {"),
    Mutant(
        "pf_map.c",
        "pf_map_get",
        "if (inbound || n == RANDOM_TRIES) {",
        "if (n == RANDOM_TRIES) {",
    ),
    Mutant("pf_map.c", "pf_map_get", "if (!inbound) {", "if (*moved != 0) {"),
    Mutant("pf_arp.c", "contradicts", "return PF_C_drop_arp_spoof;", "return PF_C_none;"),
    Mutant(
        "pf_arp.c",
        "from_uplink",
        "const bool asks = result == PF_C_drop_arp_spoof && a->op == REQUEST && to_host;",
        "const bool asks = result == PF_C_drop_arp_spoof && a->op == REQUEST;",
    ),
    Mutant(
        "pf_arp.c",
        "from_uplink",
        "return asks ? answer(pf, PF_UPLINK, a, pf->cfg.uplink_mac) : result;",
        "if (!asks) { return result; }",
    ),
    Mutant(
        "pf_arp.c",
        "from_host",
        "if (peer->state == PF_PEER_PINNED && a->spa != 0) { /* from another MAC no answer would come in */",
        "if (peer->state == PF_PEER_PINNED) {",
    ),
    Mutant(
        "pf_flow.c",
        "is_of",
        "return leased && (f->kind & PF_KIND_INBOUND) != 0 &&",
        "return leased &&",
    ),
    Mutant(
        "pf_flow.c",
        "is_of",
        "!pf_is_service(pf, f->kind & PF_KIND_PROTO, f->port[PF_FROM_REMOTE]);",
        "!pf_is_service(pf, PF_TCP, f->port[PF_FROM_REMOTE]);",
    ),
    Mutant(
        "pf_core.h",
        "pf_lease_over",
        "return pf->now - peer->seen >= peer->ttl_ms;",
        "return pf->now - peer->seen > peer->ttl_ms;",
    ),
    Mutant(
        "pf_lease.c",
        "pf_lease_check",
        "if (peer->state == PF_PEER_PINNED && !pf_mac_eq(peer->mac, mac)) {",
        "if (peer->state == PF_PEER_PINNED && !pf_mac_eq(peer->mac, mac) && lease > PF_PEER_LEASE) {",
    ),
    Mutant(
        "pf_peer.c",
        "pf_peers_tick",
        "if (peer->tries < PF_ARP_TRIES) {",
        "if (peer->tries <= PF_ARP_TRIES) {",
    ),
    Mutant(
        "pf_relay.c",
        "pf_relay_notify",
        "if (group == MDNS && pf->peer[peer].state == PF_PEER_ROUTED) {",
        "if (group == SSDP && pf->peer[peer].state == PF_PEER_ROUTED) {",
    ),
    Mutant(
        "pf_relay.c",
        "is_dns",
        "return (flags & 0x78) == 0 && ((flags & 0x80) != 0) == answer;",
        "return (flags & 0x70) == 0 && ((flags & 0x80) != 0) == answer;",
    ),
    Mutant(
        "pf_segment.c",
        "is_local",
        "return first == 10 || (first == 172 && second >> 4 == 1) || (first == 192 && second == 168) ||",
        "return first == 10 || (first == 172 && second == 16) || (first == 192 && second == 168) ||",
    ),
    Mutant(
        "pf_icmp.c",
        "check",
        "if ((f->state & PF_T_SYN << from) == 0 || f->u.end[from] - be32(in->l4 + PF_TCP_SEQ) > window) {",
        "if ((f->state & PF_T_SYN << from) == 0 && f->u.end[from] - be32(in->l4 + PF_TCP_SEQ) > window) {",
    ),
    Mutant(
        "pf_dhcp.c",
        "pf_dhcp_queue",
        "bootp[HLEN] != 6 || memcmp(bootp + BOOTP_MIN - 4, cookie, 4) != 0 || "
        "!pf_mac_eq(bootp + CHADDR, p->frame + 6)) {",
        "bootp[HLEN] != 6 || memcmp(bootp + BOOTP_MIN - 4, cookie, 4) != 0 || "
        "memcmp(bootp + CHADDR, p->frame + 6, 5)) {",
    ),
    Mutant(
        "pf_map.c",
        "pf_map_get",
        "*at != 0 || is_reserved(pf, kind, eport) || (n > 0 && is_reserved(pf, kind ^ PF_KIND_SPEAKER, eport)); n++) {",
        "*at != 0 || is_reserved(pf, kind, eport) || "
        "(n > 99 && is_reserved(pf, kind ^ PF_KIND_SPEAKER, eport)); n++) {",
    ),
    Mutant(
        "pf_rate.c",
        "pf_rate",
        "if (bucket->taken + THOUSANDTHS > (uint32_t)rates[limit].burst * THOUSANDTHS) {",
        "if (bucket->taken + THOUSANDTHS > 2U * rates[limit].burst * THOUSANDTHS) {",
    ),
    Mutant(
        "pf_uplink.c",
        "claim_rate",
        "if (lease != PF_NO_PEER && pf->peer[lease].state == PF_PEER_PINNED && pf_mac_eq(pf->peer[lease].mac, mac)) {",
        "if (lease != PF_NO_PEER && pf->peer[lease].state == PF_PEER_PINNED) {",
    ),
    Mutant(
        "pf_uplink.c",
        "claim_rate",
        "const uint32_t turn = pf_hash_flow(pf, pf->hash_key[0], pf->now >> PF_CLAIM_TURN & 0xffff);",
        "const uint32_t turn = 0;",
    ),
    Mutant(
        "pf_uplink.c",
        "claim_rate",
        "return pf_rate(pf, PF_LIMIT_CLAIM, 2 * group + on_link) && pf_rate(pf, PF_LIMIT_CLAIMS, on_link);",
        "return pf_rate(pf, PF_LIMIT_CLAIM, 2 * group + on_link) && pf_rate(pf, PF_LIMIT_CLAIMS, 0);",
    ),
    Mutant(
        "pf_lease.c",
        "take",
        "memset(&pf->bucket[PF_LIMIT_CLAIM_LEASE + i - PF_PEER_LEASE], 0, sizeof(pf->bucket[0]));",
        "",
    ),
    Mutant(
        "pf_uplink.c",
        "dhcp_to_host",
        "if (!pf->dhcp_asked || pf->now - pf->dhcp_asked_time > PF_DHCP_ASKED_MS) {",
        "if (!pf->dhcp_asked || pf->now - pf->dhcp_asked_time >= PF_DHCP_ASKED_MS) {",
    ),
    Mutant("pf_host.c", "pf_from_host_uplink", "if (p->addr[PF_SRC] != pf->cfg.addr) {", "if (p->addr[PF_SRC] == 0) {"),
    Mutant("pf_frag.c", "fits", "if ((*word & bit) != 0) {", "if ((*word & bit) != 0 && e->state == PASSING) {"),
    Mutant(
        "pf_forward.c",
        "tcp_passes",
        "if (grown + window > 2 * window || f->u.end[side ^ 1U] - be32(frame + PF_L4 + PF_TCP_ACK) > 2 * other) {",
        "if (grown + window > 3 * window || f->u.end[side ^ 1U] - be32(frame + PF_L4 + PF_TCP_ACK) > 2 * other) {",
    ),
    Mutant("pf_forward.c", "less", "return (uint16_t)(sum - (sum >> 31));", "return (uint16_t)sum;"),
    Mutant(
        "pf_forward.c",
        "passes",
        "if (pf->now - peer->seen >= peer->ttl_ms || frame[PF_O_TTL] <= 1 || !is_sound(frame, *len, &l4_len) ||",
        "if (frame[PF_O_TTL] <= 1 || !is_sound(frame, *len, &l4_len) ||",
    ),
]


class Failed(Exception):
    """What is wrong with the list, or the build."""


def changed(mutant: Mutant) -> str:
    lines = (CORE / mutant.file).read_text().splitlines()
    found = [i for i, line in enumerate(lines) if line.strip() == mutant.before]
    if len(found) != 1:
        raise Failed(f"{mutant.file}, {mutant.function}: this line is there {len(found)} times:\n  {mutant.before}")
    lines[found[0]] = mutant.after
    return "\n".join(lines) + "\n"


def run(argv: list[str | Path], **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in argv],
        cwd=HERE,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def build(core: Path, out: Path, only: str | None = None) -> None:
    """Objects of a copy of the core, of one file where the others are there; the library and the differential test."""
    out.mkdir(parents=True, exist_ok=True)
    for source in sorted(core.glob("pf*.c")):
        if only in (None, source.name):
            done = run(["gcc", *FLAGS, f"-I{core}", "-c", source, "-o", out / f"{source.stem}.o"])
            if done.returncode != 0:
                raise Failed(f"{source.name} does not build:\n{done.stderr}")
    objects = sorted(out.glob("pf*.o"))
    products: list[list[str | Path]] = [
        ["-shared", "-o", out / "libpf.so", "harness.c"],
        ["-o", out / "diff_fast", "diff_fast.c", "world.c"],
    ]
    for argv in products:
        done = run(["gcc", *FLAGS, f"-I{core}", *argv, "check.c", *objects])
        if done.returncode != 0:
            raise Failed(done.stderr)


def test_files(quick: bool) -> list[Path]:
    first = [HERE / f"test_{name}.py" for name in FIRST]
    others = sorted(p for p in HERE.glob("test_*.py") if p not in first and p.name not in OWN_BUILD)
    return first if quick else first + others


def killed_by(folder: Path, quick: bool) -> str:
    """The test that noticed, "" for none."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    try:
        done = run([folder / "diff_fast", "1", "300"])
        if done.returncode != 0:
            return f"diff_fast: {done.stderr.splitlines()[0]}"
        done = run([*pytest, *test_files(quick)], SPEAKEASY_CORE_LIBRARY=str(folder / "libpf.so"))
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if failed:
            return failed[0].split(" - ")[0].removeprefix("FAILED ")
        return f"status {done.returncode}" if done.returncode != 0 else ""
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT_S} s"


def judge(number: int, quick: bool) -> bool:
    mutant = MUTANTS[number - 1]
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)
        core = folder / "core"
        shutil.copytree(CORE, core)
        (core / mutant.file).write_text(changed(mutant))
        header = mutant.file.endswith(".h")
        if not header:
            shutil.copytree(WORK / "base", folder / "out")
        build(core, folder / "out", None if header else mutant.file)
        why = killed_by(folder / "out", quick)
    print(f"{number:>3} {'killed  ' if why else 'SURVIVED'} {mutant.file:<13}{mutant.function:<20}{why}", flush=True)
    if not why:
        print(f"      - {mutant.before}\n      + {mutant.after}", flush=True)
    return bool(why)


def main() -> int:
    parser = argparse.ArgumentParser(description="Would the tests notice a changed line of the core?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--quick", action="store_true", help="without the slow tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("numbers", type=int, nargs="*", help="from 1 on; all without")
    args = parser.parse_args()
    if not args.list and not all(map(importlib.util.find_spec, TESTS_NEED)):
        print(f"mutants: the tests need {', '.join(TESTS_NEED)}: run it with .venv/bin/python", file=sys.stderr)
        return 2
    try:
        for mutant in MUTANTS:
            changed(mutant)
        if args.list:
            for i, m in enumerate(MUTANTS, 1):
                print(f"{i:>3} {m.file} {m.function}\n      - {m.before}\n      + {m.after}")
            return 0
        WORK.mkdir(parents=True, exist_ok=True)
        build(CORE, WORK / "base")
        why = killed_by(WORK / "base", args.quick)
        if why:
            raise Failed(f"The core as it is does not pass: {why}")
        numbers = args.numbers or list(range(1, len(MUTANTS) + 1))
        with ThreadPoolExecutor(args.jobs) as pool:
            killed = sum(pool.map(lambda number: judge(number, args.quick), numbers))
    except Failed as e:
        print(f"mutants: {e}", file=sys.stderr)
        return 2
    print(f"{killed} of {len(numbers)} killed")
    return 0 if killed == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
