"""Prints the diagram of the stream automaton as Mermaid, from its table.

`scripts/reference.py` puts it into ARCHITECTURE.md; run alone it prints.
"""

from __future__ import annotations

from dragoman.translate.messages.stream import TRANSITIONS, State

# Edges that no event of the upstream makes: they are the automaton's own doing.
OWN = (
    (State.ANSWERING, State.STOPPED, "stop sequence, output cap"),
    (State.WAITING, State.ENDED, "end of bytes"),
    (State.OPENED, State.ENDED, "end of bytes"),
    (State.ANSWERING, State.ENDED, "end of bytes, out of place"),
)
PREFIX = "response."
OUTPUT = "output"


def edges() -> dict[tuple[State, State], list[str]]:
    """From and to which state which events lead, in the order of the table; all output is one word."""
    output = output_events()
    found: dict[tuple[State, State], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for event, (_, after) in row.items():
            events = found.setdefault((state, after), [])
            word = OUTPUT if event in output else event.removeprefix(PREFIX)
            if word not in events:
                events.append(word)
    for state, after, why in OWN:
        found.setdefault((state, after), []).append(why)
    return found


def output_events() -> list[str]:
    """The event types that carry the answer itself."""
    return [event for event, (_, after) in TRANSITIONS[State.WAITING].items() if after is State.ANSWERING]


def families(events: list[str]) -> list[str]:
    """Events in few words: `output_text.delta, .done` for those of one family."""
    found: dict[str, list[str]] = {}
    for event in events:
        family, _, last = event.removeprefix(PREFIX).rpartition(".")
        found.setdefault(family, []).append(last)
    return [f"{family}." + ", .".join(lasts) for family, lasts in found.items()]


def mermaid() -> str:
    """A stateDiagram-v2 of TRANSITIONS."""
    return "\n".join(
        [
            "stateDiagram-v2",
            f"    [*] --> {State.WAITING}",
            *(
                f"    {state} --> {after}: {'<br/>'.join(events)}"
                for (state, after), events in edges().items()
            ),
            f"    {State.ENDED} --> [*]",
            f"    note right of {State.ANSWERING}",
            f"        {OUTPUT}:<br/>{'<br/>'.join(families(output_events()))}",
            "    end note",
        ]
    )


def main() -> None:
    """Prints the diagram."""
    print(mermaid())


if __name__ == "__main__":
    main()
