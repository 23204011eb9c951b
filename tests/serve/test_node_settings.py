"""What a node is told stands in one file, or in options of the same names; what is wrong in it is one line."""

from dataclasses import fields
from pathlib import Path

import pytest

from spinenet.errors import ConfigError
from spinenet.report.options import Language, ReportOptions
from spinenet.serve.node_settings import LogFormat, NodeSettings, Retrieval, read_settings, with_options

DEPLOYED = Path(__file__).parents[2] / "deploy" / "node.toml"


def written(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text, encoding="utf-8")
    return folder / "node.toml"


def test_a_file_says_everything_and_options_go_before_it(tmp_path: Path) -> None:
    text = 'out = "/srv/node"\nallow = ["MR1@10.0.0.7:104"]\nport = 104\nwait = 5\nlog = "json"\nidentify = true\n'
    settings = read_settings(written(tmp_path, text + 'language = "de"\npriors_by = "get"\ntls_ca = "ca.pem"\n'))
    assert settings.out == Path("/srv/node") and settings.allow == ("MR1@10.0.0.7:104",)
    assert (settings.port, settings.wait, settings.log, settings.priors_by) == (104, 5.0, LogFormat.JSON, Retrieval.GET)
    assert settings.report_options(ReportOptions()) == ReportOptions(identify=True, language=Language.DE)
    given = with_options(settings, {"port": 11112, "allow": ["MR2"], "host": None, "web_port": 0})
    assert (given.port, given.allow, given.host, given.wait) == (11112, ("MR2",), "127.0.0.1", 5.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour = 1", "no key colour; known are out, allow"),
        ('port = "104"', "port is '104'; write a number of at least 1 and at most 65535"),
        ("port = 70000", "at most 65535"),
        ("web_port = true", "write a number"),
        ("wait = -1", "a number of at least 0"),
        ('allow = "MR1"', "a list of texts"),
        ("allow = [1]", "a list of texts"),
        ('log = "xml"', '"text" or "json"'),
        ("commit = 1", "true or false"),
        ('out = ""', "a text"),
        ("port 104", "not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_settings(written(tmp_path, text))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_settings(tmp_path / "node.toml")


def test_the_file_for_a_service_is_one_and_names_every_setting() -> None:
    read_settings(DEPLOYED)
    text = DEPLOYED.read_text(encoding="utf-8")
    assert [one.name for one in fields(NodeSettings) if f"{one.name} = " not in text] == []
