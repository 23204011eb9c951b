"""What is installed in a department: the unit of systemd and the container file hold what the node is."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ward import Ward

from spinenet.serve.node_settings import NodeSettings, read_settings

ROOT = Path(__file__).parents[3]
CONTAINER = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
UNIT = ROOT / "deploy" / "spinenet-node.service"


def test_the_unit_and_the_container_start_the_node_with_the_file_of_settings(tmp_path: Path) -> None:
    started = re.search(r"ExecStart=\S+/spinenet (.+)", UNIT.read_text(encoding="utf-8"))
    entry = re.search(r'ENTRYPOINT \["[^"]+/spinenet", (.+)\]', CONTAINER)
    assert started and entry
    assert started[1].split() == re.findall(r'"([^"]+)"', entry[1]) == ["listen", "--config", "/etc/spinenet/node.toml"]
    assert read_settings(ROOT / "deploy" / "node.toml").out == Path("/var/lib/spinenet/node")
    assert f"EXPOSE {NodeSettings.port}" in CONTAINER


def test_the_container_copies_what_there_is_and_all_that_the_build_needs() -> None:
    copied = [path for line in re.findall(r"^COPY (.+)$", CONTAINER, re.M) for path in line.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    licences = project["project"]["license-files"]
    assert {*included, *licences, project["project"]["readme"], "src", "pyproject.toml", "constraints.txt"} <= set(
        copied
    )


def test_the_container_is_healthy_while_the_node_listens_whoever_may_send_to_it(ward: Ward) -> None:
    (command,) = re.findall(r"^HEALTHCHECK.+?CMD (\[.+?\])$", CONTAINER, re.M | re.S)
    asked = [sys.executable, *json.loads(command.replace(str(NodeSettings.port), str(ward.config.port)))[1:]]
    with ward.running():
        assert subprocess.run(asked, check=False).returncode == 0
    assert subprocess.run(asked, check=False, capture_output=True).returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this system")
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/spinenet/bin/spinenet", sys.executable)
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    told = subprocess.run(["systemd-analyze", "verify", tmp_path / UNIT.name], capture_output=True, text=True)
    assert told.returncode == 0 and told.stderr.strip() == ""
