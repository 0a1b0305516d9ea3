"""``signals list`` and ``signals explain``, with text for people and JSON for programs."""

import json
import re

import pytest

from tests.cli.durable_shop import RECEIVERS
from tests.cli.support import ALDIS

SIGNALS = (*ALDIS, "signals")


def ask(project, *arguments, code=0):
    """Run ``aldis signals`` on the shop and return what it printed."""
    ended = project.run(*SIGNALS, *arguments, "--app", "shop")
    assert code == ended.returncode, ended.stderr
    return ended.stdout if code == 0 else " ".join(ended.stderr.split())


@pytest.fixture
def spread(shop):
    """Give a shop whose signal names also exist in another namespace and in two local ones."""
    shop.write(
        "spread.py",
        """
        from shop import *

        other = Namespace()
        other.signal("order_paid")
        other.signal("with:colon", "A name may have one.")

        def hidden():
            mine = Namespace()
            mine.signal("order_paid")
            return mine

        keep = [hidden(), hidden()]
        """,
    )
    return shop


@pytest.fixture
def factory(project):
    """Give an app whose only reference is the return value of its factory. It has a receiver."""
    project.write(
        "shop.py",
        """
        import aldis.as_blinker
        from flask import Flask, request_started

        def create_app():
            app = Flask("shop")

            @request_started.connect_via(app)
            def greet(sender, **extra):
                pass

            return app
        """,
    )
    return project


class TestList:
    def test_an_app_of_a_factory_keeps_its_receivers(self, factory):
        """The command keeps the app alive, so receivers for it stay connected."""
        assert "\n     1. greet  shop.py:" in ask(factory, "list")

    def test_the_list_shows_signals_and_their_receivers(self, shop):
        """The list shows namespaces, signals, docs, contracts and the receivers in order."""
        text = ask(shop, "list")
        lines = (shop.folder / "shop.py").read_text().splitlines()
        thank, deliver, greet = (
            lines.index(each) + 1  # the line of the first decorator
            for each in (
                "@order_paid.connect",
                '@order_paid.connect_via("harbour")',
                "@request_started.connect_via(app)",
            )
        )
        assert (
            "shop.shop  2 signals, 1 with receivers\n"
            "\n"
            "  order_paid\n"
            "    Sent once an order is paid.\n"
            "    carries order_id: int, note: str = ''\n"
            f"     1. thank  shop.py:{thank}\n"
            "        for any sender, weak, robust\n"
            f"     2. deliver  shop.py:{deliver}\n"
            "        for 'harbour', strong, async\n"
            "\n"
            "  no receivers: shelf-empty\n"
        ) in text
        assert "flask.signals._signals  10 signals, 1 with receivers\n" in text
        assert f"     1. greet  shop.py:{greet}\n        for <Flask 'shop'>, str" in text

    def test_into_a_pipe_is_plain(self, shop):
        """A pipe gets no colours and no wrapped lines."""
        text = ask(shop, "list", "--all")
        assert "\x1b" not in text
        assert text.endswith("\n")

    def test_all_shows_signals_without_receivers_in_full(self, shop):
        """With --all, signals without receivers have their contract. Advisory ones are marked."""
        text = ask(shop, "list", "--all")
        assert ("  shelf-empty\n    carries (advisory) and more\n    no receivers\n\n") in text
        assert "no receivers:" not in text

    @pytest.mark.parametrize("pattern", ["paid", "ORDER", "order_*", "shop.shop:order*"])
    def test_a_pattern_chooses_by_name(self, shop, pattern):
        """A pattern is a part of the name, or has wildcards, or includes the namespace."""
        text = ask(shop, "list", pattern)
        assert text.startswith("shop.shop  1 signal, 1 with receivers\n\n  order_paid\n")
        assert "shelf" not in text

    @pytest.mark.parametrize("pattern", ["deliver", "Thank", "del*", "shelf_e*", "order[-_]paid"])
    def test_a_pattern_finds_receivers_and_any_spelling(self, shop, pattern):
        """A pattern also matches names of receivers. Dashes and underscores are equal."""
        name = "shelf-empty" if "shelf" in pattern else "order_paid"
        text = ask(shop, "list", pattern)
        assert "shop.shop  1 signal, " in text  # `del*` also matches signals of aldis.durable
        assert f"\n  {name}\n" in text

    def test_a_pattern_finds_durable_receivers_by_their_name(self, project):
        """A durable receiver is found by the name under which its deliveries are recorded."""
        project.write("receivers.py", RECEIVERS)
        ended = project.run(*SIGNALS, "list", "billing.receipt", "--app", "receivers:signals.get")
        assert "\n  order_paid\n" in ended.stdout, ended.stderr

    def test_a_pattern_shows_signals_without_receivers_too(self, shop):
        """A pattern shows signals without receivers, too."""
        assert "  shelf-empty\n" in ask(shop, "list", "shelf")

    def test_a_pattern_without_a_match(self, shop):
        """The error has the closest name."""
        text = ask(shop, "list", "order_payed", code=2)
        assert text.endswith("Error: unknown signal 'order_payed'; did you mean 'order_paid'?")

    def test_local_namespaces_have_different_labels(self, spread):
        """A namespace that is not a global has a number in its label."""
        ended = spread.run(*SIGNALS, "list", "--all", "--app", "spread")
        labels = re.findall(r"^(\S+)  \d+ signals?,", ended.stdout, re.MULTILINE)
        assert ["shop.shop", "spread.other", "spread.?", "spread.?2"] == labels[1:]

    def test_an_app_without_signals(self, project):
        """Without signals, the command prints a sentence."""
        project.write("app.py", "app = print")
        assert "No namespace has a signal.\n" == project.run(*SIGNALS, "list").stdout

    def test_the_list_names_the_plugin_of_a_subscription(self, shop):
        """The list names the plugin that connected a receiver."""
        shop.write(
            "plugged.py",
            """
            from aldis.plugins import PluginManager
            from shop import *

            class Stickers:
                def get_signal_subscriptions(self):
                    return {order_paid: [stick]}

            def stick(sender, **extra): ...

            manager = PluginManager()
            manager.add("stickers", Stickers())
            manager.enable("stickers")
            """,
        )
        ended = shop.run(*SIGNALS, "list", "order_paid", "--app", "plugged")
        assert re.search(
            r" 3\. stick  plugged.py:\d+\n +for any sender, \w+, from plugin stickers\n",
            ended.stdout,
        ), ended
        facts = json.loads(shop.run(*SIGNALS, "list", "--json", "--app", "plugged").stdout)
        [paid] = [
            each
            for namespace in facts["namespaces"]
            for each in namespace["signals"]
            if each["name"] == "order_paid"
        ]
        assert [[], [], ["stickers"]] == [each["plugins"] for each in paid["receivers"]]

    def test_the_default_namespace_has_its_public_name(self, project):
        """The label of the default namespace is its public name."""
        project.write("app.py", "import aldis\nlit = aldis.signal('lit')\napp = print")
        text = project.run(*SIGNALS, "list").stdout
        assert "aldis.default_namespace  1 signal, 0 with receivers\n" in text


class TestListJson:
    def test_has_its_documented_form(self, shop):
        """The JSON has every key of the schema with a value of the documented type."""
        facts = json.loads(ask(shop, "list", "shop.shop:*", "--json"))
        file = str(shop.folder / "shop.py")
        lines = (shop.folder / "shop.py").read_text().splitlines()
        assert {
            "schema": "aldis-signals-list/1",
            "namespaces": [
                {
                    "namespace": "shop.shop",
                    "signals": [
                        {
                            "name": "order_paid",
                            "doc": "Sent once an order is paid.\n\nAnd more about it.",
                            "contract": {
                                "arguments": [
                                    {"name": "order_id", "annotation": "int", "required": True},
                                    {"name": "note", "annotation": "str", "required": False},
                                ],
                                "open": False,
                                "advisory": False,
                                "mutable": False,
                            },
                            "receivers": [
                                {
                                    "receiver": "thank",
                                    "file": file,
                                    "line": lines.index("@order_paid.connect") + 1,
                                    "sender": "any sender",
                                    "strength": "weak",
                                    "delivery": "robust",
                                    "dispatch_uid": None,
                                    "async": False,
                                    "plugins": [],
                                },
                                {
                                    "receiver": "deliver",
                                    "file": file,
                                    "line": lines.index('@order_paid.connect_via("harbour")') + 1,
                                    "sender": "'harbour'",
                                    "strength": "strong",
                                    "delivery": "plain",
                                    "dispatch_uid": None,
                                    "async": True,
                                    "plugins": [],
                                },
                            ],
                        },
                        {
                            "name": "shelf-empty",
                            "doc": None,
                            "contract": {
                                "arguments": [],
                                "open": True,
                                "advisory": True,
                                "mutable": False,
                            },
                            "receivers": [],
                        },
                    ],
                }
            ],
        } == facts

    def test_always_has_every_signal(self, shop):
        """The JSON contains signals without receivers, with and without --all."""
        facts = json.loads(ask(shop, "list", "--json"))
        assert [10, 2] == [len(each["signals"]) for each in facts["namespaces"]]

    def test_annotations_are_text(self, project):
        """The JSON has each annotation as text, as it is written in the source, or null."""
        project.write(
            "app.py",
            """
            from __future__ import annotations
            import aldis
            lamps = aldis.Namespace()
            @lamps.define
            def lit(sender, /, *, colour, lamp: Lamp | None = None) -> None: ...
            app = print
            """,
        )
        facts = json.loads(project.run(*SIGNALS, "list", "--json").stdout)
        assert [
            {"name": "colour", "annotation": None, "required": True},
            {"name": "lamp", "annotation": "Lamp | None", "required": False},
        ] == facts["namespaces"][0]["signals"][0]["contract"]["arguments"]
        text = project.run(*SIGNALS, "list", "lit").stdout
        assert "    carries colour, lamp: Lamp | None = None\n" in text

    def test_a_receiver_without_source_has_no_location(self, project):
        """A receiver in C has neither a file nor a line."""
        project.write(
            "app.py",
            "import aldis\nlit = aldis.signal('lit')\nlit.connect(print)\napp = print",
        )
        facts = json.loads(project.run(*SIGNALS, "list", "--json").stdout)
        [receiver] = facts["namespaces"][0]["signals"][0]["receivers"]
        assert ("print", None, None) == (receiver["receiver"], receiver["file"], receiver["line"])
        assert "  1. print  no source\n" in project.run(*SIGNALS, "list").stdout


class TestExplain:
    def test_without_a_sender_all_receivers_are_shown(self, shop):
        """Without --sender, the command shows all receivers in order."""
        text = ask(shop, "explain", "order_paid")
        assert text.startswith(
            "order_paid  in shop.shop\n"
            "  Sent once an order is paid.\n"
            "  carries order_id: int, note: str = ''\n"
            "\n"
            "Sent by any sender, it calls 2 of 2 receivers, in this order:\n"
            "\n"
            "   1. thank  shop.py:"
        )

    def test_a_receiver_that_does_not_run_has_a_reason(self, shop):
        """A receiver for another sender has a reason instead of a number."""
        text = ask(shop, "explain", "order_paid", "--sender", "market")
        assert "Sent by 'market', it calls 1 of 2 receivers:\n" in text
        assert re.search(
            r"   -  deliver  shop.py:\d+\n"
            r"      for 'harbour', strong, async\n"
            r"      not called: it listens to 'harbour' only\n$",
            text,
        )

    @pytest.mark.parametrize(
        ("value", "shown", "runs"),
        [
            ("app", "<Flask 'shop'>", 1),
            ("str:app", "'app'", 0),
            ("int:5", "5", 0),
            ("int:-1", "-1", 0),
            ("str:urn:x", "'urn:x'", 0),
            ("str:", "''", 0),
            ("None", "None", 0),
            ("<Flask 'shop'>", "<Flask 'shop'>", 1),
            ("shop:app", "<Flask 'shop'>", 1),
            ("shop.app", "<Flask 'shop'>", 1),
            ("shop:app.test_client_class", "None", 0),
            ("shop:Namespace", "<type 'Namespace'>", 0),
        ],
    )
    def test_forms_of_a_sender(self, shop, value, shown, runs):
        """A sender is the app, a module's object, a number, a text, or a sender from the list."""
        text = ask(shop, "explain", "request-started", "--sender", value)
        assert f"Sent by {shown}, it calls {runs} of 1 receiver" in text

    @pytest.mark.parametrize(
        "value", ["urn:x", "", "ap", "shop", "shop:ap", "nowhere:app", ":", "shop:"]
    )
    def test_a_sender_that_does_not_exist(self, shop, value):
        """The error names the senders that receivers listen to, and each form to type."""
        text = ask(shop, "explain", "request-started", "--sender", value, code=2)
        assert f"unknown sender '{value}'" in text
        assert (
            "Receivers listen to <Flask 'shop'>. Write module:NAME for an object, app for" in text
        )
        assert text.endswith(f"int:5 for a number, or str:{value} for the text")

    def test_a_sender_that_is_a_proxy_without_an_object(self, shop):
        """A proxy has an object only in a request, so the error shows what to write instead."""
        text = ask(shop, "explain", "request-started", "--sender", "flask:current_app", code=2)
        assert "it is a proxy that stands for no object here; for the app, write app" in text

    def test_any_text_is_a_sender_if_the_senders_are_texts(self, shop):
        """The contract or the sender of a receiver shows that the senders are texts."""
        shop.write(
            "texts.py", "from shop import *\n@shelf_empty.connect_via('till')\ndef f(s, **e): ..."
        )
        for signal, sender in (("order_paid", "market"), ("shelf-empty", "till")):
            ended = shop.run(*SIGNALS, "explain", signal, "--sender", sender, "--app", "texts")
            assert f"Sent by '{sender}', it calls 1 of " in ended.stdout, ended.stderr

    def test_a_sender_is_shown_by_the_name_of_its_global(self, shop):
        """The output shows ``module:NAME`` or the type instead of an address."""
        shop.write(
            "harbours.py",
            """
            from shop import *

            class Harbour: ...

            north = Harbour()
            docked = shop.signal("docked")
            places = [north, Harbour()]
            [docked.connect(thank, place) for place in places]

            @request_started.connect_via(app)
            def arrive(sender, **extra):
                docked.send(north, order_id=7)
                docked.send(places[1], order_id=7)
            """,
        )
        app = ("--app", "harbours")
        listed = shop.run(*SIGNALS, "list", "docked", *app).stdout
        assert "\n        for harbours:north, weak, robust\n" in listed
        assert "\n        for <Harbour>, weak, robust\n" in listed
        for sender in ("harbours:north", "harbours.north"):
            explained = shop.run(*SIGNALS, "explain", "docked", *app, "-s", sender).stdout
            assert "Sent by harbours:north, it calls 1 of 2 receivers:\n" in explained
            assert "not called: it listens to <Harbour> only\n" in explained
        traced = shop.run(*SIGNALS, "trace", "/", *app)
        assert "sent by harbours:north (order_id)\n" in traced.stdout
        assert "sent by <Harbour> (order_id)\n" in traced.stdout
        for text in (listed, explained, traced.stdout):
            assert "0x" not in text

    def test_a_sender_that_is_not_a_number(self, shop):
        """The error for a wrong number explains how to write the text."""
        text = ask(shop, "explain", "order_paid", "--sender", "int:five", code=2)
        assert "'five' is not a whole number; for the text write 'str:int:five'" in text

    def test_a_signal_without_receivers(self, shop):
        """A signal without receivers does not cause an error."""
        text = ask(shop, "explain", "shelf-empty")
        assert text.endswith("\nIt has no receivers.\n")

    def test_notes(self, shop):
        """Notes about all receivers come first."""
        shop.write("muted.py", "from shop import *\norder_paid.is_muted = True")
        ended = shop.run(*SIGNALS, "explain", "order_paid", "--app", "muted")
        assert "  note: the signal is muted: a send calls no receiver\n" in ended.stdout

    @pytest.mark.parametrize(
        ("name", "closest"),
        [
            ("order_payed", "order_paid"),
            ("order-payed", "order_paid"),
            ("SHELF", "shelf-empty"),
            ("request_startd", "request-started"),
            ("shop.shop:order_payed", "shop.shop:order_paid"),
            ("delivr", "deliver"),
        ],
    )
    def test_an_unknown_name(self, shop, name, closest):
        """An unknown name is an error with the closest name."""
        text = ask(shop, "explain", name, code=2)
        assert text.endswith(f"unknown signal '{name}'; did you mean '{closest}'?")

    @pytest.mark.parametrize(
        ("name", "signal"),
        [
            ("request_started", "request-started"),
            ("request started", "request-started"),
            (" Request-Started ", "request-started"),
            ("order-paid", "order_paid"),
            ("ORDER PAID", "order_paid"),
            ("shelf_empty", "shelf-empty"),
            ("shop.order_paid", "order_paid"),
            ("shop:order-paid", "order_paid"),
            ("SHOP.shop:order_paid", "order_paid"),
            ("flask:request_started", "request-started"),
            ("flask.request_started", "request-started"),
            ("flask.signals.request_started", "request-started"),
            ("deliver", "order_paid"),
            ("Greet", "request-started"),
        ],
    )
    def test_ways_to_write_a_name(self, shop, name, signal):
        """Case, dashes and blanks do not matter. The prefix has several forms."""
        assert ask(shop, "explain", name).startswith(f"{signal}  in ")

    def test_the_exact_name_is_chosen_first(self, shop):
        """If only a dash differs between two signals, other spellings are an error with both."""
        shop.write("twice.py", "from shop import *\nshop.signal('order-paid')")
        command = (*SIGNALS, "explain", "--app", "twice")
        for name in ("order-paid", "order_paid"):
            assert shop.run(*command, name).stdout.startswith(f"{name}  in ")
        ended = shop.run(*command, "Order Paid")
        assert (2, "") == (ended.returncode, ended.stdout)
        assert ended.stderr.endswith(
            "2 signals are called 'Order Paid'; choose one of:\n"
            "  shop.shop:order_paid\n"
            "  shop.shop:order-paid\n"
        )

    def test_a_receiver_of_several_signals(self, shop):
        """The error names the signals of the receiver."""
        shop.write("more.py", "from shop import *\nshop.signal('till').connect(thank)")
        ended = shop.run(*SIGNALS, "explain", "--app", "more", "thank")
        assert 2 == ended.returncode
        assert ended.stderr.endswith(
            "'thank' is a receiver of 2 signals; choose one of:\n"
            "  shop.shop:order_paid\n"
            "  shop.shop:till\n"
        )

    def test_an_unknown_name_without_a_close_one(self, shop):
        """The error names the command that lists all signals."""
        text = ask(shop, "explain", "zzz", code=2)
        assert text.endswith("unknown signal 'zzz'; `aldis signals list --all` lists them all")

    def test_a_name_in_an_app_without_signals(self, project):
        """The error explains that the app has no signals."""
        project.write("app.py", "app = print")
        ended = project.run(*SIGNALS, "explain", "x")
        assert 2 == ended.returncode
        assert "the app has no namespace with a signal" in " ".join(ended.stderr.split())

    def test_a_name_of_several_namespaces(self, spread):
        """The error lists the choices. The end of a namespace's label is enough."""
        command = (*SIGNALS, "explain", "--app", "spread")
        ended = spread.run(*command, "order_paid")
        assert 2 == ended.returncode
        assert ended.stderr.endswith(
            "Error: 4 namespaces have a signal 'order_paid'; choose one of:\n"
            "  shop.shop:order_paid\n"
            "  spread.other:order_paid\n"
            "  spread.?:order_paid\n"
            "  spread.?2:order_paid\n"
        )
        for label in ("other", "spread.other", "spread.?2"):
            ended = spread.run(*command, f"{label}:order_paid")
            assert 0 == ended.returncode, ended.stderr
        assert ended.stdout.startswith("order_paid  in spread.?2\n")

    def test_a_name_with_a_colon(self, spread):
        """A colon may belong to the name of a signal."""
        ended = spread.run(*SIGNALS, "explain", "with:colon", "--app", "spread")
        assert ended.stdout.startswith("with:colon  in spread.other\n")

    def test_json_has_its_documented_form(self, shop):
        """The JSON extends that of ``list`` with the order and the reasons of the receivers."""
        facts = json.loads(ask(shop, "explain", "order_paid", "--sender", "market", "--json"))
        listed = json.loads(ask(shop, "list", "order_paid", "--json"))
        [signal] = listed["namespaces"][0]["signals"]
        thank, deliver = signal.pop("receivers")
        assert {
            "schema": "aldis-signals-explain/1",
            "namespace": "shop.shop",
            "signal": signal,
            "sender": "'market'",
            "notes": [],
            "receivers": [
                {**thank, "position": 1, "obstacle": None},
                {**deliver, "position": None, "obstacle": "it listens to 'harbour' only"},
            ],
        } == facts
