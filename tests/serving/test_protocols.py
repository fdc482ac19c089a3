from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.errors import ConfigError
from incumbent.serving import mlflow_protocol, open_inference
from incumbent.serving.access import TOKEN, Access
from incumbent.serving.metrics import Histogram, Metric
from incumbent.serving.refusals import Refusal, TooMuch, WrongKind


@pytest.mark.parametrize(
    ("body", "kind", "found"),
    [
        ({"inputs": ["a", None, " "]}, "application/json", ["a", None, None]),
        ({"inputs": [["a"], ["b"]]}, "application/json; charset=utf-8", ["a", "b"]),
        ({"inputs": {"id": ["x"], "Reviews": ["a"]}}, "", ["a"]),
        ({"instances": [{"id": "x", "Reviews": "a"}]}, "application/json", ["a"]),
        ({"dataframe_records": [{"id": 1, "text": "a"}]}, "application/json", ["a"]),
        (
            {"dataframe_split": {"columns": ["id", "Reviews"], "data": [[1, "a"]], "index": [7]}},
            "application/json", ["a"],
        ),
        ({"inputs": []}, "application/json", []),
        ("id,Reviews\n1,40\n2,\n", "text/csv", ["40", None]),
        ("", "text/csv", []),
    ],
)  # fmt: skip
def test_what_invocations_takes(body: Any, kind: str, found: list[str | None]) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    assert mlflow_protocol.texts(content.encode(), kind, "Reviews") == (found, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON: RecursionError"),
        (b"[]", "a JSON list; an object is expected"),
        (b"{}", "no fields; exactly one of inputs"),
        (b'{"inputs": ["a"], "instances": ["a"]}', "exactly one of"),
        (b'{"inputs": [3]}', "row 0 of the input is 3"),
        (b'{"inputs": [["a", "b"]]}', "2 values"),
        (b'{"inputs": "a", "params": {"version": "yes"}}', "params is no object"),
        (b'{"dataframe_records": {"a": 1}}', "no list of objects"),
        (b'{"dataframe_split": {"columns": ["a"]}}', "no object of data"),
        (b'{"dataframe_split": {"columns": ["a"], "data": [["b", "c"]]}}', "no table"),
        (b'{"dataframe_records": [{"id": "a", "body": "b"}]}', "no column 'Reviews'"),
    ],
)
def test_what_invocations_refuses(body: bytes, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        mlflow_protocol.texts(body, "application/json", "Reviews")


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin-1", "text/csv; x"])
def test_other_content_types_are_refused(kind: str) -> None:
    with pytest.raises(WrongKind, match="content type"):
        mlflow_protocol.texts(b"{}", kind, "Reviews")


MANY = 1_100


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_records": [{f"k{row}": 1} for row in range(MANY)]}, "application/json"),
        ({"instances": [{f"k{row}": 1} for row in range(MANY)]}, "application/json"),
        ({"inputs": {"a": ["b"] * MANY, **{f"k{row}": "c" for row in range(MANY)}}}, ""),
        ({"dataframe_split": {"columns": [*range(MANY)], "data": [["a"]] * MANY}}, ""),
        (",".join(map(str, range(MANY))) + "\na" * MANY, "text/csv"),
    ],
)
def test_a_short_request_for_a_large_table_is_refused(body: Any, kind: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(TooMuch, match="Leave out the columns that hold no text"):
        mlflow_protocol.texts(content.encode(), kind, "Reviews")


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ('{"dataframe_split": {"columns": [1], "index": [1], "data": "a"}}', "", "no list of list"),
        ('{"inputs": {"a": {"x": "b"}}}', "", "column 'a' is an object"),
        ("Reviews\nA dull, boring film\n", "text/csv", "row 0 of the table has 2 values"),
    ],
)
def test_what_pandas_would_take_otherwise_is_refused(body: str, kind: str, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        mlflow_protocol.texts(body.encode(), kind, "Reviews")


def test_a_text_of_many_commas_and_lines_is_one_value() -> None:
    text = "one, " * 2_000 + "\n" * 2_000 + "end"
    body = f'id,Reviews\n1,"{text}"\n'.encode()
    assert mlflow_protocol.texts(body, "text/csv", "Reviews") == ([text], False)


def tensor(**given: Any) -> dict[str, Any]:
    return {"name": "Reviews", "datatype": "BYTES", "shape": [2], "data": ["a", "b"], **given}


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor()],
        [tensor(name="any")],
        [tensor(shape=[2, 1], data=[["a"], ["b"]])],
        [tensor(name="id", data=["x", "y"]), tensor()],
    ],
)
def test_what_infer_takes(inputs: list[Any]) -> None:
    body = json.dumps({"id": "7", "inputs": inputs}).encode()
    found, request = open_inference.texts(body, "Reviews")
    assert (found, request["id"]) == (["a", "b"], "7")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("a", "no list of tensors"),
        ([tensor(), tensor()], "each must have one of its own"),
        ([tensor(shape=[3])], r"the shape \[3\] and 2 values"),
        ([tensor(shape=[-2])], r"the shape \[-2\]"),
        ([tensor(data="ab")], "no list data"),
        ([tensor(parameters={"binary_data_size": 9})], "binary"),
        ([tensor(name="id"), tensor(name="body")], "no column 'Reviews'"),
    ],
)
def test_what_infer_refuses(inputs: Any, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        open_inference.texts(json.dumps({"inputs": inputs}).encode(), "Reviews")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"id": {"a": "b"}}, "id is no string"),
        ({"inputs": [tensor(shape=[2, 1, 1])]}, "has the shape"),
        ({"inputs": [tensor(shape=[2, int("9" * 4_000)])]}, "has the shape"),
        ({"inputs": [tensor(parameters=3, shape=[3])]}, "has the shape"),
    ],
)
def test_a_request_that_would_cost_more_than_it_says_is_refused(
    more: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        open_inference.texts(json.dumps({"inputs": [tensor()], **more}).encode(), "Reviews")


def test_an_output_that_is_asked_for_many_times_is_given_once() -> None:
    model: Any = SimpleNamespace(columns=["label", "probability_pos"])
    asked = {"outputs": [{"name": "label"}] * 1_000}
    assert open_inference.wanted(model, asked) == ["label"]


def test_metrics_are_prometheus_text() -> None:
    counter = Metric("n_total", "Things.", "counter", ("label",))
    counter.add('a"b\\c\nd', by=2)
    assert counter.lines()[-1] == r'n_total{label="a\"b\\c\nd"} 2'
    spread = Histogram("s", "Seconds.", ("stage",), (0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        spread.observe("all", value=value)
    assert spread.lines()[2:] == [
        's_bucket{stage="all",le="0.1"} 1', 's_bucket{stage="all",le="1"} 2',
        's_bucket{stage="all",le="+Inf"} 3', 's_sum{stage="all"} 7.6', 's_count{stage="all"} 3',
    ]  # fmt: skip


def test_who_may_ask() -> None:
    token, login = "0123456789abcdef", "reader:0123456789ab"
    assert Access.of({}).lets_in(None)
    both = Access.of({TOKEN: token, "INCUMBENT_AUTH": login})
    assert both.lets_in(f"Bearer {token}")
    assert both.lets_in("Basic cmVhZGVyOjAxMjM0NTY3ODlhYg==")
    for wrong in (None, "", token, f"Bearer {token}x", "Basic x", "Bearer \xff"):
        assert not both.lets_in(wrong)
    with pytest.raises(ConfigError, match="INCUMBENT_SERVE_TOKEN has 5 characters"):
        Access.of({TOKEN: "short"})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Reviews", "text", "data", "columns", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["inputs", "instances", "dataframe_split", "dataframe_records"]), VALUES)
def test_whatever_json_comes_is_texts_or_refused(field: str, value: Any) -> None:
    body = json.dumps({field: value}).encode()
    with contextlib.suppress(Refusal):
        found, _ = mlflow_protocol.texts(body, "application/json", "Reviews")
        assert all(text is None or text.strip() for text in found)
    tensors = [{"name": "a", "shape": [1], "data": value}]
    for inputs in (value, [value], tensors):
        with contextlib.suppress(Refusal):
            open_inference.texts(json.dumps({"inputs": inputs}).encode(), "Reviews")


@given(st.binary(max_size=60))
def test_whatever_bytes_come_are_texts_or_refused(body: bytes) -> None:
    for kind in ("application/json", "text/csv"):
        with contextlib.suppress(Refusal):
            mlflow_protocol.texts(body, kind, "Reviews")
