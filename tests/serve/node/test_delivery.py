"""What waits for a destination is sent once, and what is not taken holds nothing else up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Timer

import pytest

from spinenet.serve.node.delivery import MAX_WAIT_S, OWN_WAIT_S, Backoff, Delivery
from spinenet.serve.node.events import Event, Tally
from spinenet.serve.node.peers import RefusedObjectError, UnreachableError
from spinenet.serve.node.state import NodeState, SentObject


@dataclass
class Archive:
    """A destination that refuses some files, or is away."""

    refuses: str = "none"
    is_away: bool = False
    got: list[str] = field(default_factory=list)
    called: str = "ARCHIVE"

    def send(self, files: Sequence[Path], aet: str, taken: Callable[[Path], object]) -> None:
        for path in files:
            if self.is_away:
                raise UnreachableError("it is away")
            if self.refuses in path.name:
                raise RefusedObjectError("it does not take this")
            self.got.append(path.read_text())
            taken(path)


def made(folder: Path, name: str, content: str) -> SentObject:
    (folder / name).write_text(content)
    return SentObject(str(folder / name), "1.1", "1.2", "1.3", "1.4")


def delivery(tmp_path: Path, to: Archive) -> tuple[Delivery, NodeState, list[Event]]:
    state = NodeState(tmp_path / "node.sqlite")
    said: list[Event] = []
    return Delivery(to, "SPINENET", state, 0.01, said.append, Tally()), state, said


def graded(state: NodeState, study: str, *objects: SentObject, peers: Sequence[str] = ("ARCHIVE",)) -> None:
    state.graded(study, "digest", 1, objects, (), peers, compare=False)


def test_an_object_that_is_refused_holds_up_no_other_study(tmp_path: Path) -> None:
    to = Archive(refuses="bad")
    way, state, said = delivery(tmp_path, to)
    for study in ("bad", "good"):
        graded(state, study, made(tmp_path, study, study))
    way.run(_after(0.3), 0.01)
    assert to.got == ["good"] and state.unsent() == {"ARCHIVE": 1}
    to.refuses = "none"
    way.refused.clear()
    way.run(_after(0.3), 0.01)
    assert to.got == ["good", "bad"] and state.unsent() == {}


def test_a_result_that_was_replaced_while_it_waited_is_sent_as_it_is_now(tmp_path: Path) -> None:
    to = Archive(is_away=True)
    way, state, _ = delivery(tmp_path, to)
    graded(state, "study", made(tmp_path, "report", "first"))
    assert not way.step()
    (old,) = state.waiting("ARCHIVE")
    graded(state, "study", made(tmp_path, "report", "second"))
    state.sent(old)  # of the first, which was under way: the second waits on
    to.is_away = False
    assert way.step() and to.got == ["second"] and not way.step()


def test_a_result_takes_the_place_of_all_before_it_whether_they_were_sent_or_not(tmp_path: Path) -> None:
    _, state, _ = delivery(tmp_path, Archive())
    for number in range(3):
        new = SentObject(f"/{number}", "1.1", "1.2", "1.3", f"1.4.{number}")
        state.graded("study", "digest", 1, [new], state.of("study").objects, ["ARCHIVE"], compare=False)
    assert [one.instance_uid for one in state.of("study").objects] == ["1.4.2", "1.4.1", "1.4.0"]
    assert [str(one.path) for one in state.waiting("ARCHIVE")] == ["/2"]


def test_a_destination_that_is_back_is_no_problem_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = Archive(is_away=True)
    way, state, _ = delivery(tmp_path, to)
    graded(state, "study", made(tmp_path, "report", "first"))
    assert not way.step() and way.problem() == ""  # for less than a minute
    monkeypatch.setattr("spinenet.serve.node.delivery.LONG_AWAY_S", 0.0)
    assert way.problem().startswith("ARCHIVE cannot be sent to since 2")
    to.is_away = False
    assert way.step() and way.problem() == ""


def test_a_peer_that_is_none_any_more_is_forgotten(tmp_path: Path) -> None:
    _, state, _ = delivery(tmp_path, Archive())
    graded(state, "study", made(tmp_path, "report", "first"), peers=("ARCHIVE", "OLD"))
    assert state.forget_peers(["ARCHIVE"]) == 1 and state.unsent() == {"ARCHIVE": 1}


def test_a_result_that_was_deleted_is_said_to_be_and_forgotten(tmp_path: Path) -> None:
    way, state, said = delivery(tmp_path, Archive())
    graded(state, "study", made(tmp_path, "report", "first"))
    (tmp_path / "report").unlink()
    way.step()
    assert [event.name for event in said] == ["result_gone"] and state.unsent() == {}


def test_a_step_costs_the_same_whatever_waits_and_was_refused(tmp_path: Path) -> None:
    _, state, _ = delivery(tmp_path, Archive())
    for number in range(50):
        graded(state, str(number), SentObject("/x", "1", "2", "3", "4"))
    assert len(state.waiting("ARCHIVE", [str(number) for number in range(40_000)])) == 0
    assert [one.study for one in state.waiting("ARCHIVE", [str(number) for number in range(5, 40_000)])] == [*"01234"]


def _after(seconds: float) -> Flag:

    flag = Flag()
    Timer(seconds, flag.set).start()
    return flag


def test_what_fails_on_this_computer_is_tried_again_within_a_minute() -> None:
    for most_s in (OWN_WAIT_S, MAX_WAIT_S):
        wait = Backoff(0.5)
        assert [wait.fail(most_s) for _ in range(20)][-1] == most_s
    assert Backoff(300.0).fail(OWN_WAIT_S) == 300.0  # as it was asked for
