"""The imports of the codec."""


def test_no_library_of_classes_is_imported():
    """The codec imports neither pydantic nor attrs."""
    from tests.fresh import run

    run(
        "import sys\n"
        "from tests.durable.codec.signals import travel\n"
        "assert 7 == travel(int, 7)\n"
        "assert not {'pydantic', 'attr', 'attrs'} & set(sys.modules)\n"
    )


def test_without_msgspec():
    """Without msgspec, the error names the extra to install."""
    from tests.fresh import run

    run(
        "import sys\n"
        "sys.modules['msgspec'] = None\n"
        "from aldis.errors import MissingExtraError\n"
        "try:\n"
        "    import aldis.durable.codec\n"
        "except MissingExtraError as error:\n"
        "    assert \"pip install 'aldis[durable]'\" in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
