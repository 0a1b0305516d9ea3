"""The tree of sends: nodes, limits, times, errors and the printed form."""

import re
from contextvars import Context
from functools import wraps
from io import StringIO
from threading import Thread

import pytest

import aldis
from aldis.core import attach, detach
from aldis.core.frames import hidden
from aldis.observe import CallNode, EmissionNode, Trace, trace
from tests.core.support import Recorder, line_of


@pytest.fixture
def shop():
    """Give a namespace."""
    return aldis.Namespace()


def receive(sender, **extra):
    """Receive anything."""


async def wait(sender, **extra):
    """Be awaited."""


def shape_of(node):
    """Return the names of a node and of its children."""
    if isinstance(node, EmissionNode):
        return node.signal, [shape_of(call) for call in node.calls]
    return node.receiver, [shape_of(emission) for emission in node.emissions]


class TestNodes:
    def test_the_node_of_a_send(self, shop):
        """The node has the signal, sender, method, arguments, thread and duration as text."""
        with trace() as seen:
            shop.signal("paid").send("north", order_id=7, total=3)
        [node] = seen.roots
        assert 0 < node.nanoseconds
        expected = EmissionNode(
            "paid", "'north'", "send", ("order_id", "total"), "MainThread", node.nanoseconds
        )
        assert expected == node
        assert node.unheard

    def test_the_node_of_a_call(self, shop):
        """The node has the receiver's name, location, kind and the duration."""
        paid = shop.signal("paid")
        paid.connect(receive)
        with trace() as seen:
            paid.send()
        [call] = seen.roots[0].calls
        assert CallNode("receive", line_of(receive), False, call.nanoseconds) == call
        assert 0 < call.nanoseconds <= seen.roots[0].nanoseconds
        assert not seen.roots[0].unheard

    def test_sends_inside_receivers_are_children(self, shop):
        """The node of a send inside a receiver is a child of the receiver's node."""
        outer, inner = shop.signal("outer"), shop.signal("inner")

        def first(sender):
            inner.send("first")

        def second(sender):
            inner.send("second")
            inner.send("second again")

        outer.connect(first)
        outer.connect(second)
        inner.connect(receive)
        with trace() as seen:
            outer.send()
            inner.send()
        leaf = ("inner", [("receive", [])])
        names = [each.__qualname__ for each in (first, second)]
        assert [
            ("outer", [(names[0], [leaf]), (names[1], [leaf, leaf])]),
            leaf,
        ] == [shape_of(root) for root in seen.roots]

    def test_an_error_is_shown_at_the_call_and_the_send(self, shop):
        """The call and the send that it ended have the error as text."""
        paid = shop.signal("paid")

        @paid.connect
        def fail(sender):
            raise ValueError("lamp out")

        with trace() as seen, pytest.raises(ValueError, match="lamp out"):
            paid.send()
        [root] = seen.roots
        assert ["ValueError: lamp out"] * 2 == [root.error, root.calls[0].error]

    def test_a_skipped_receiver(self, shop):
        """The node of the send has the skipped receiver with the reason."""
        paid, later = shop.signal("paid"), Recorder()

        def first(sender):
            paid.disconnect(later)

        paid.connect(first)
        paid.connect(later)
        with trace() as seen:
            paid.send()
        assert ["disconnected during this send"] == seen.roots[0].skipped

    def test_a_muted_send(self, shop):
        """The node of a muted send is marked as muted."""
        paid = shop.signal("paid")
        paid.connect(receive)
        with trace() as seen, paid.muted():
            paid.send()
        assert seen.roots[0].muted
        assert seen.roots[0].unheard

    async def test_async_sends(self, shop):
        """The nodes show that a receiver was awaited, and the name of the method."""
        paid = shop.signal("paid")
        paid.connect(wait)
        with trace() as seen:
            await paid.asend()
        [root] = seen.roots
        assert ("asend", True) == (root.how, root.calls[0].is_async)

    def test_an_unnamed_signal(self):
        """The node describes a signal without a name."""
        with trace() as seen:
            aldis.Signal().send()
        assert ["unnamed signal"] == [root.signal for root in seen.roots]

    def test_sends_of_other_threads_are_recorded(self, shop):
        """A node has the name of the thread."""
        with trace() as seen:
            thread = Thread(target=shop.signal("paid").send, name="cashier")
            thread.start()
            thread.join()
        assert ["cashier"] == [root.thread for root in seen.roots]

    def test_a_trace_keeps_no_object_alive(self, shop):
        """A trace holds text and numbers, not senders or receivers."""
        from weakref import ref

        sender, receiver = Recorder(), Recorder()
        paid = shop.signal("paid")
        paid.connect(receiver)
        with trace() as seen:
            paid.send(sender)
        alive = ref(sender), ref(receiver)
        del sender, receiver
        assert (None, None) == (alive[0](), alive[1]())
        assert 1 == len(seen.roots)

    def test_nodes_show_one_moment(self, shop):
        """Nodes that a receiver reads show a running send, and do not change when it ends."""
        paid, kept = shop.signal("paid"), []

        def look(sender):
            kept.extend(seen.roots)

        paid.connect(look)
        with trace() as seen:
            paid.send()
        [during], [after] = kept, seen.roots
        assert (None, None) == (during.nanoseconds, during.calls[0].nanoseconds)
        assert 0 < after.calls[0].nanoseconds <= after.nanoseconds

    def test_a_receiver_of_aldis_is_not_a_cause(self, shop):
        """A send inside a hidden receiver is a root."""
        outer, inner = shop.signal("outer"), shop.signal("inner")

        @outer.connect
        @hidden
        def relay(sender):
            inner.send()

        with trace() as seen:
            outer.send()
        assert [("outer", []), ("inner", [])] == [shape_of(root) for root in seen.roots]

    def test_a_method_and_a_wrapped_function(self, shop):
        """The location is that of the function behind a method or a wrapper."""

        class Till:
            def close(self, sender):
                """Receive."""

        @wraps(receive)
        def wrapper(sender):
            """Receive."""

        paid, till = shop.signal("paid"), Till()
        paid.connect(till.close)
        paid.connect(wrapper)
        with trace() as seen:
            paid.send()
        assert [line_of(Till.close), line_of(receive)] == [
            call.location for call in seen.roots[0].calls
        ]


class TestLimits:
    def test_the_oldest_trees_are_dropped(self, shop):
        """A trace keeps the newest trees within the limit and counts the dropped ones."""
        with trace(limit=2) as seen:
            for number in range(5):
                shop.signal(str(number)).send()
        assert (["3", "4"], 3) == ([root.signal for root in seen.roots], seen.dropped)

    def test_a_large_tree_loses_its_last_nodes(self, shop):
        """If one tree is larger than the limit, its first nodes are kept."""
        paid, inner = shop.signal("paid"), shop.signal("inner")

        def relay(sender):
            inner.send()
            inner.send()

        paid.connect(relay)
        inner.connect(receive)
        with trace(limit=3) as seen:
            paid.send()
        [root] = seen.roots
        assert ("paid", [(relay.__qualname__, [("inner", [])])]) == shape_of(root)
        assert 3 == seen.dropped
        assert root.calls[0].nanoseconds

    def test_a_tree_that_was_dropped_while_it_grew(self, shop):
        """A dropped tree that still grows takes no space from other trees."""
        slow, quick = shop.signal("slow"), shop.signal("quick")

        def keep_on(sender):
            for _ in range(3):
                Context().run(quick.send)
            for _ in range(5):
                slow.send("inner") if sender == "outer" else None

        slow.connect(keep_on)
        with trace(limit=3) as seen:
            slow.send("outer")
            for _ in range(3):
                quick.send()
        assert ["quick"] * 3 == [root.signal for root in seen.roots]

    def test_clear_drops_all_trees(self, shop):
        """After ``clear``, the trace is empty and records later sends."""
        with trace(limit=2) as seen:
            for _ in range(3):
                shop.signal("paid").send()
            seen.clear()
            assert ([], 0, "") == (seen.roots, seen.dropped, str(seen))
            shop.signal("paid").send()
        assert 1 == len(seen.roots)

    def test_a_tree_that_was_cleared_while_it_grew(self, shop):
        """A later send inside a receiver of a cleared tree is not recorded."""
        outer, inner = shop.signal("outer"), shop.signal("inner")

        with trace(limit=2) as seen:

            @outer.connect
            def clear(sender):
                seen.clear()
                for _ in range(3):
                    inner.send()

            outer.send()
            inner.send()
            inner.send()
        assert ["inner", "inner"] == [root.signal for root in seen.roots]

    def test_a_limit_below_one_is_refused(self):
        """A trace must keep at least one send."""
        with pytest.raises(ValueError, match=r"^a trace must keep at least 1 emission, not 0$"):
            Trace(limit=0)


class TestLifetime:
    def test_a_trace_ends_with_its_block(self, shop):
        """After the block, sends are not recorded and are as fast as before."""
        with trace() as seen:
            pass
        shop.signal("paid").send()
        assert [] == seen.roots

    def test_a_trace_can_be_attached_as_an_observer(self, shop):
        """A ``Trace`` without a block is attached and detached like any observer."""
        seen = Trace()
        attach(seen)
        shop.signal("paid").send()
        detach(seen)
        shop.signal("paid").send()
        assert 1 == len(seen.roots)

    def test_a_send_that_began_before_the_trace_has_no_tree(self, shop):
        """If a trace begins inside a receiver, the receiver's later sends are roots."""
        outer, inner, kept = shop.signal("outer"), shop.signal("inner"), []

        def begin(sender):
            with trace() as seen:
                inner.send()
            kept.append(seen)

        outer.connect(begin)
        outer.connect(receive)
        with trace():
            outer.send()
        assert [["inner"]] == [[root.signal for root in seen.roots] for seen in kept]

    def test_two_traces_at_once(self, shop):
        """Each trace has its own tree."""
        with trace() as first, trace() as second:
            shop.signal("paid").send()
        assert first.roots == second.roots
        assert first.roots[0] is not second.roots[0]


class TestDrawing:
    def test_the_lines_form_a_tree(self, shop):
        """The printed tree has branches, and each line begins with a name."""
        outer, inner = shop.signal("outer"), shop.signal("inner")
        outer.connect(receive)

        @outer.connect
        def relay(sender):
            inner.send("relay")

        with trace() as seen:
            outer.send("north")
            inner.send("south")
        starts = [re.match(r"[^\w]*\w+", line)[0] for line in str(seen).splitlines()]
        assert ["outer", "├─ receive", "└─ relay", "   └─ inner", "inner"] == [
            start.replace("TestDrawing", "relay") for start in starts
        ]

    def test_the_text_of_a_line(self, shop):
        """A send has its sender and arguments, and a call its location. Both have a duration."""
        paid = shop.signal("paid")
        paid.connect(wait)
        with trace() as seen, pytest.raises(RuntimeError):
            paid.send("north", order_id=7)
        with trace() as heard:
            paid.disconnect(wait)
            paid.connect(receive)
            paid.send("north", order_id=7)
        assert "sent by 'north'" in str(heard)
        assert "(order_id)" in str(heard)
        assert 2 == len(re.findall(r"  [\d.]+ (?:µs|ms)", str(heard)))
        assert f":{receive.__code__.co_firstlineno}" in str(heard)
        assert "AsyncReceiverError" in str(seen)

    async def test_unusual_sends_and_calls_are_marked(self, shop):
        """A line shows another method than send, an awaited receiver, and a send without calls."""
        paid = shop.signal("paid")
        paid.connect(wait)
        with trace() as seen:
            await paid.asend()
            with paid.muted():
                paid.send()
            paid.disconnect(wait)
            paid.send()
        sent, call, muted, unheard = str(seen).splitlines()
        assert sent.endswith("  by asend")
        assert "  async" in call
        assert "  muted" in muted
        assert "  no receiver" in unheard

    @pytest.mark.parametrize(
        ("nanoseconds", "words"),
        [
            (None, "running"),
            (0, "0 µs"),
            (1_500, "1.5 µs"),
            (999_000, "999 µs"),
            (1_000_000, "1 ms"),
            (1_234_000_000, "1.23 s"),
        ],
    )
    def test_durations(self, nanoseconds, words):
        """A duration has a unit that is easy to read."""
        call = CallNode("receive", None, False, nanoseconds)
        root = EmissionNode("paid", "'north'", "send", (), "MainThread", calls=[call])
        Trace.write([root], None, file := StringIO())
        assert f"receive  {words}" in file.getvalue()

    def test_with_rich(self, shop):
        """Rich draws the same lines."""
        from rich.console import Console

        paid = shop.signal("paid")
        paid.connect(receive)
        with trace() as seen:
            paid.send("north")
        out = StringIO()
        Console(file=out, width=300).print(seen)
        assert [line.split()[-1] for line in str(seen).splitlines()] == [
            line.split()[-1] for line in out.getvalue().splitlines()
        ]
