"""What a node is told, by the options of ``spinenet listen`` and by a TOML file: both have the same names."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from spinenet.errors import ConfigError, in_words
from spinenet.report.options import USUAL, Language, ReportOptions, outputs_of

MAX_PORT = 65535


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    JSON = "json"


class Retrieval(StrEnum):
    """How an archive is asked for images: it sends them to this node, or on the association that asks."""

    MOVE = "move"
    GET = "get"


def _setting(default: Any, told: str, metavar: str = "", least: float | None = None) -> Any:
    return field(default=default, metadata={"help": told, "metavar": metavar, "least": least})


@dataclass(frozen=True)
class NodeSettings:
    """Each an option and a key of the file; those without words are options of other commands too."""

    out: Path | None = _setting(None, "Folder for images and results.")
    allow: tuple[str, ...] = _setting(
        (), "Title that may send, and the address or network it has to come from; may be repeated.", "AET[@HOST[:PORT]]"
    )
    aborting: tuple[str, ...] = _setting(
        (), "Title that aborts its associations when all is sent: its studies are whole; may be repeated.", "AET"
    )
    aet: str = _setting("SPINENET", "Title of this node.", "AET")
    port: int = _setting(11112, "Port for DICOM.", least=1)
    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 is every one.")
    send_to: tuple[str, ...] = _setting(
        (),
        "Node that gets report and overview, with --identify; tls://AET@HOST:PORT by TLS, https://HOST/PATH by "
        "DICOMweb; may be repeated.",
        "AET@HOST:PORT",
    )
    wait: float = _setting(30.0, "Seconds without a new image that complete a study.", least=0.0)
    keep_hours: float = _setting(24.0, "Hours that images are kept after grading.", least=0.0)
    retry: float = _setting(60.0, "Seconds until what failed is first tried again.", least=0.1)
    reserve_mb: int = _setting(256, "Megabytes of disk below which images are refused.", least=0)
    commit: bool = _setting(False, "Answer storage commitment; images that were confirmed are never deleted.")
    priors: str = _setting(
        "", "Archive that is asked for the patient's earlier studies, to compare with.", "AET@HOST:PORT"
    )
    priors_by: Retrieval = _setting(Retrieval.MOVE, "C-MOVE to this node's title, or C-GET.")
    tls_certificate: Path | None = _setting(None, "PEM file of this node's certificate: all callers have to use TLS.")
    tls_key: Path | None = _setting(None, "PEM file of its key.")
    tls_ca: Path | None = _setting(None, "PEM file of the CA that callers' and destinations' certificates are by.")
    web_port: int = _setting(0, "Port for STOW-RS, /health and /metrics; 0 is none.", least=0)
    web_token_file: Path | None = _setting(None, "File with the token that senders by STOW-RS have to show.")
    send_token_file: Path | None = _setting(None, "File with the token that is shown to https:// destinations.")
    log: LogFormat = _setting(LogFormat.TEXT, "Lines for people, or JSON.")
    model: Path | None = None
    identify: bool = False
    slices: bool = True
    experimental: bool = False
    language: Language = Language.EN
    patient_page: bool = False
    outputs: str = ",".join(USUAL)

    def report_options(self, given: ReportOptions) -> ReportOptions:
        """What of a study its files show: what the file says, or the options ask for beside it. ConfigError where an
        output is none."""
        try:
            outputs = outputs_of(self.outputs)
        except ValueError as error:
            raise ConfigError(f"outputs: {error}") from error
        return ReportOptions(
            self.identify or given.identify,
            self.slices and given.slices,
            self.experimental or given.experimental,
            given.language if given.language is not Language.EN else self.language,
            self.patient_page or given.patient_page,
            given.outputs if given.outputs != USUAL else outputs,
        )


def with_options(settings: NodeSettings, given: Mapping[str, Any]) -> NodeSettings:
    """The settings with those options in their place that were given."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    listed = {name: tuple(value) for name, value in named.items() if isinstance(value, list)}
    return dataclasses.replace(settings, **{**named, **listed})


def read_settings(path: Path) -> NodeSettings:
    """Settings from a TOML file; ConfigError for a key or a value that is none."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {in_words(error)}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML ({' '.join(str(error).split())})") from error
    known = {one.name: one for one in fields(NodeSettings)}
    if unknown := sorted(set(content) - set(known)):
        raise ConfigError(f"{path}: no key {', '.join(unknown)}; known are {', '.join(known)}")
    return NodeSettings(**{name: _value(path, known[name], value) for name, value in content.items()})


def _value(path: Path, key: dataclasses.Field[Any], value: Any) -> Any:
    """A value as the key has it; ConfigError where it is not one."""
    kind = key.type
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if kind in (bool, int, float) and _is_number(key, value):
        return float(value) if kind is float else value
    if kind == Path | None and isinstance(value, str) and value:
        return Path(value)
    if isinstance(kind, type) and issubclass(kind, str) and isinstance(value, str) and _is_word(kind, value):
        return kind(value)
    raise ConfigError(f"{path}: {key.name} is {value!r}; write {_wanted(key)}")


def _is_word(kind: type[str], value: str) -> bool:
    return not issubclass(kind, StrEnum) or value in list(kind)


def _is_number(key: dataclasses.Field[Any], value: Any) -> bool:
    least = key.metadata.get("least")
    of_kind = type(value) is key.type or (key.type is float and type(value) is int)
    return of_kind and (least is None or value >= least) and ("port" not in key.name or value <= MAX_PORT)


def _wanted(key: dataclasses.Field[Any]) -> str:
    least = key.metadata.get("least")
    if isinstance(key.type, type) and issubclass(key.type, StrEnum):
        return " or ".join(f'"{one}"' for one in key.type)
    if key.type is bool:
        return "true or false"
    if key.type in (int, float):
        bounds = "" if least is None else f" of at least {least:g}"
        return f"a number{bounds}" + (f" and at most {MAX_PORT}" if "port" in key.name else "")
    return 'a list of texts, ["..."]' if key.type == tuple[str, ...] else "a text"
