"""What every operation stands on (SPEC 2.4): who asks, how a request is refused, how a long list is cut into pages."""

import json

from .session import MAX_TEXT

MAX_PAGE = 255

_ROOM = MAX_TEXT - 64  # bytes of a page's own text, beside id, ok and more


class Refusal(Exception):
    """An answer with "ok": false; `word` for the program, `say` for the person."""

    def __init__(self, word: str, say: str) -> None:
        super().__init__(word)
        self.word = word
        self.say = say


class Caller:
    """Who is at the other end of a session: `mode` and `key_id` of its handshake, and whether the button's `window` was
    open then; then what it has begun to do."""

    def __init__(self, mode: int, key_id: bytes, window: bool = False) -> None:
        self.mode = mode
        self.key_id = key_id
        self.window = window
        self.draft: dict | None = None  # the phone that it asked to enrol
        self.done = False  # enrolled: this session has nothing left to do
        self.leaving = False  # the bridge shall disconnect after the answer
        self.afterwards = _nothing  # what to call when the phone is gone: a reset, say
        self.log_mark = 0  # where the log ended when its first page was asked for


def _nothing() -> None:
    pass


def page_of(request: dict) -> int:
    """The page that is asked for."""
    page = request.get("page", 0)
    if type(page) is not int or not 0 <= page <= MAX_PAGE:
        raise Refusal("bad-request", "A page is an integer from 0 to %d." % MAX_PAGE)
    return page


def paged(answer: dict, name: str, items: list, request: dict) -> dict:
    """`answer` with as many of `items` under `name` as fit into one record. Pages after the first hold nothing else;
    they are found by walking, so that they depend on answer and list alone."""
    wanted = page_of(request)
    rest: dict = {name: []}
    answer[name] = []
    room = _ROOM - _size(answer)
    page = used = 0
    chosen = []
    more = False
    for item in items:
        size = _size(item) + 2
        # The first page may be full without any item.
        if used + size > room and (used or not page):
            if page == wanted:
                more = True
                break
            page += 1
            used = 0
            room = _ROOM - _size(rest)
        used += size
        if page == wanted:
            chosen.append(item)
    whole = rest if wanted else answer
    whole[name] = chosen
    if more:
        whole["more"] = True
    return whole


def _size(value) -> int:
    return len(json.dumps(value).encode())
