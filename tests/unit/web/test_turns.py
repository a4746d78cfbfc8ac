"""Who asks much waits in a line of their own."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tm.errors import RefusedError
from tm.web.turns import MOST_AT_ONCE, Turns


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = Turns()
        self.under_way: list[tuple[str, Deferred[str]]] = []

    def ask(self, user: str) -> Deferred[str]:
        def begin() -> Deferred[str]:
            answer: Deferred[str] = Deferred()
            self.under_way.append((user, answer))
            return answer

        return Deferred.fromCoroutine(self.turns.take(user, begin))

    def answer(self, text: str = "") -> None:
        self.under_way.pop(0)[1].callback(text)

    def test_of_one_user_only_a_few_questions_are_under_way_and_others_do_not_wait(self) -> None:
        asked = [self.ask("alice") for _ in range(MOST_AT_ONCE + 2)]
        self.ask("bob")
        self.assertEqual([user for user, _ in self.under_way], ["alice"] * MOST_AT_ONCE + ["bob"])
        self.answer("first")
        self.assertEqual(self.successResultOf(asked[0]), "first")
        self.assertEqual([user for user, _ in self.under_way][-1], "alice")
        while self.under_way:
            self.answer("more")
        self.assertEqual([self.successResultOf(one) for one in asked[1:]], ["more"] * (MOST_AT_ONCE + 1))

    def test_who_leaves_holds_their_turn_until_the_answer_is_there(self) -> None:
        asked = [self.ask("alice") for _ in range(MOST_AT_ONCE)]
        for one in asked:
            one.cancel()
            self.failureResultOf(one, CancelledError)
        late = self.ask("alice")
        self.assertEqual(len(self.under_way), MOST_AT_ONCE)
        self.answer()
        self.answer()
        self.assertEqual(len(self.under_way), MOST_AT_ONCE - 1)
        self.under_way[-1][1].errback(RefusedError("net.lost", "gone"))
        self.failureResultOf(late, RefusedError)

    def test_who_leaves_the_line_is_passed_over(self) -> None:
        asked = [self.ask("alice") for _ in range(MOST_AT_ONCE + 2)]
        asked[-2].cancel()
        self.failureResultOf(asked[-2], CancelledError)
        for _ in range(MOST_AT_ONCE + 1):
            self.answer("x")
        self.assertEqual(self.successResultOf(asked[-1]), "x")
        self.assertEqual(self.under_way, [])

    def test_when_the_link_is_gone_all_who_wait_hear_it(self) -> None:
        asked = [self.ask("alice") for _ in range(MOST_AT_ONCE)]
        gone = RefusedError("net.dispatcher", "gone")
        late = [Deferred.fromCoroutine(self.turns.take("alice", lambda: fail(gone))) for _ in range(2000)]
        self.answer()
        self.successResultOf(asked[0])
        for one in late:
            self.failureResultOf(one, RefusedError)
        self.ask("alice")
        self.assertEqual(len(self.under_way), MOST_AT_ONCE)
