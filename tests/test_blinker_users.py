"""aldis as blinker: one test for each habit of blinker's users."""

from tests.core.support import on_aldis


class TestWhatOthersLeanOn:
    def test_ckan_relays_by_a_bound_send(self):
        """CKAN connects a signal's bound ``send``, weakly, to Flask's signal."""
        printed = on_aldis(
            """
            import gc
            from blinker import Namespace

            flask_signals, ckan_signals = Namespace(), Namespace()
            theirs, ours = flask_signals.signal("request-started"), ckan_signals.signal("started")
            theirs.connect(ours.send)
            gc.collect()
            ours.connect(heard := lambda sender, **kw: (sender, kw))
            [(relay, results)] = theirs.send("app", response=1)
            print(relay == ours.send, results == [(heard, ("app", {"response": 1}))])
            """
        )
        assert "True True" == printed

    def test_ckan_uses_signals_as_keys_and_options_as_arguments(self):
        """Signals are dict keys; subscriptions are dicts of arguments; senders str and int."""
        printed = on_aldis(
            """
            from blinker import signal

            def receive(sender, **kw):
                return sender

            paid = signal("paid")
            mapping = {paid: [receive, {"receiver": receive, "sender": "a"},
                              {"receiver": receive, "sender": 10, "weak": False}]}
            for each, entries in mapping.items():
                for entry in entries[1:]:
                    each.connect(**entry)
            print(len(paid.receivers), len(list(paid.receivers_for(10))), len(paid.send("b")))
            for entry in mapping[paid][1:]:
                options = {k: v for k, v in entry.items() if k != "weak"}
                paid.disconnect(**options)
            print(len(paid.receivers))
            """
        )
        assert "1 1 0\n0" == printed

    def test_pelican_sets_set_class_on_the_class(self):
        """A set class that is set after the import is used, with its ``|`` and ``copy``."""
        printed = on_aldis(
            """
            import blinker

            class OrderedSet:
                def __init__(self, values=()):
                    self.values = dict.fromkeys(values)
                def __iter__(self):
                    return iter(self.values)
                def __or__(self, other):
                    return OrderedSet([*self, *other])
                def add(self, value):
                    self.values[value] = None
                def copy(self):
                    return OrderedSet(self)

            early = blinker.signal("early")
            blinker.Signal.set_class = OrderedSet
            order = []
            def first(sender): order.append("first")
            def second(sender): order.append("second")
            for signal in (early, blinker.signal("late")):
                signal.connect(second); signal.connect(first)
                signal.send("site")
                print(type(signal._by_sender[0]).__name__, len(list(signal._by_sender[0].copy())))
            print(*order)
            """
        )
        assert "OrderedSet 2\nOrderedSet 2\nsecond first second first" == printed

    def test_datadog_replaces_receivers_for_on_instances(self):
        """``send`` uses a ``receivers_for`` that was set on the instance."""
        printed = on_aldis(
            """
            import blinker, functools

            started = blinker.signal("request-started")
            def receive(sender): return "called"
            started.connect(receive)
            original = started.receivers_for

            def traced(sender):
                for receiver in original(sender):
                    @functools.wraps(receiver)
                    def span(*args, _receiver=receiver, **kwargs):
                        return "traced " + _receiver(*args, **kwargs)
                    yield span

            started.receivers_for = traced
            print(started.send("app")[0][1])
            started.receivers.clear()
            print(started.send("app"))
            """
        )
        assert "traced called\n[]" == printed

    def test_subclasses_and_private_names(self):
        """Flask-Principal, MongoEngine and others import from ``blinker.base``."""
        printed = on_aldis(
            """
            from blinker.base import Namespace, NamedSignal, Signal, ANY, ANY_ID, Symbol

            class Chatty(NamedSignal):
                def send(self, *args, **kwargs):
                    return ["chatty", *super().send(*args, **kwargs)]

            signals = Namespace()
            identity_loaded = signals.signal("identity-loaded")
            print(isinstance(identity_loaded, NamedSignal), isinstance(signals, dict))
            print(Chatty("x").send("app"), ANY_ID, Symbol("ANY") is ANY)
            identity_loaded.connect_via("app")(lambda sender, identity: print(identity))
            identity_loaded.send("app", identity="me")
            """
        )
        assert "True True\n['chatty'] 0 True\nme" == printed

    def test_mongoengine_asks_before_a_slow_delete(self):
        """``has_receivers_for`` is false for a class without receivers."""
        printed = on_aldis(
            """
            from blinker import signal

            class Document: pass
            pre_delete = signal("pre-delete")
            def receive(sender, document): pass
            print(pre_delete.has_receivers_for(Document))
            pre_delete.connect(receive, sender=Document)
            print(pre_delete.has_receivers_for(Document))
            pre_delete.disconnect(receive, sender=Document)
            print(pre_delete.has_receivers_for(Document))
            """
        )
        assert "False\nTrue\nFalse" == printed

    def test_fixtures_clear_and_restore(self):
        """``_clear_state`` and ``receivers.values()`` work in test fixtures."""
        printed = on_aldis(
            """
            from blinker import signal
            lit = signal("lit")
            def receive(sender): pass
            lit.connect(receive)
            print([ref() is receive for ref in lit.receivers.values()])
            lit._clear_state()
            print(list(lit.receivers.values()), bool(lit.receivers))
            """
        )
        assert "[True]\n[] False" == printed

    def test_any_can_be_pickled(self):
        """``ANY`` is itself after pickling, in another module's pickle too."""
        printed = on_aldis(
            """
            import pickle
            from blinker import ANY
            print(pickle.loads(pickle.dumps(ANY)) is ANY)
            """
        )
        assert "True" == printed

    def test_meta_signals_are_made_lazily(self):
        """A signal makes its ``receiver_connected`` at the first look-up."""
        printed = on_aldis(
            """
            from blinker import Signal
            signal = Signal()
            signal.connect(print)
            print("receiver_connected" in vars(signal), "receiver_disconnected" in vars(signal))
            print(type(signal.receiver_connected) is Signal, "receiver_connected" in vars(signal))
            """
        )
        assert "False False\nTrue True" == printed

    def test_streamlit_uses_nameless_signals(self):
        """``Signal(doc=...)``, ``has_receivers_for(ANY)`` and weakly referenced signals."""
        printed = on_aldis(
            """
            import weakref
            from blinker import ANY, Signal
            signal = Signal(doc="Emitted when a widget changes.")
            print(signal.__doc__, signal.has_receivers_for(ANY), weakref.ref(signal)() is signal)
            """
        )
        assert "Emitted when a widget changes. False True" == printed

    def test_nikola_sends_dicts(self):
        """A dict, which is neither hashable nor weakly referenced, may be a sender."""
        printed = on_aldis(
            """
            from blinker import signal
            site = {"name": "site"}
            ready = signal("ready")
            ready.connect(receive := lambda sender: sender["name"], sender=site)
            print(ready.send(site)[0][1], ready.send({"name": "site"}))
            """
        )
        assert "site []" == printed

    def test_quart_sends_async_with_a_sync_wrapper(self):
        """``send_async(app, _sync_wrapper=app.ensure_async)`` awaits both kinds."""
        printed = on_aldis(
            """
            import asyncio
            from blinker import signal

            def ensure_async(function):
                async def run(*args, **kwargs):
                    return function(*args, **kwargs)
                return run

            started = signal("request-started")
            started.connect(sync := lambda sender: "sync")
            @started.connect
            async def wait(sender): return "async"
            results = asyncio.run(started.send_async("app", _sync_wrapper=ensure_async))
            print(*[value for _, value in results])
            """
        )
        assert "sync async" == printed

    def test_flask_runs_on_it(self):
        """Flask's own signals are aldis's once it stands in."""
        printed = on_aldis(
            """
            import flask
            print(type(flask.request_started) is aldis.NamedSignal)
            app = flask.Flask("shop")
            seen = []
            @flask.request_started.connect_via(app)
            def note(sender, **extra): seen.append(sender)
            app.test_client().get("/")
            print(seen == [app])
            """
        )
        assert "True\nTrue" == printed
