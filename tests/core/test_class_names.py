"""Names of classes meet exactly first, and loosely only where nothing else could be meant."""

import pytest

from detect_transfer.core.class_names import alike, match_class_names


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        pytest.param(["a", "b"], ["b", "a"], {"a": "a", "b": "b"}, id="exact"),
        pytest.param(["car"], ["car", "CAR"], {"car": "car"}, id="exact-before-any-case"),
        pytest.param(["stop_sign"], ["Stop_Sign", "stop sign"], {"stop_sign": "Stop_Sign"}, id="case-before-plain"),
        pytest.param(["traffic light"], ["Traffic-Light"], {"traffic light": "Traffic-Light"}, id="plain"),
        pytest.param(["trafficlight"], ["traffic_light"], {"trafficlight": "traffic_light"}, id="joined"),
        pytest.param(["8_1_1", "8_11"], ["8_11", "8_1_1"], {"8_1_1": "8_1_1", "8_11": "8_11"}, id="codes-exact"),
        pytest.param(["8_1_1"], ["8_11"], {}, id="codes-apart"),
        pytest.param(["8_1_1"], ["8.1.1"], {"8_1_1": "8.1.1"}, id="codes-with-dots"),
        pytest.param(["<", ">"], [">", "<"], {"<": "<", ">": ">"}, id="signs-exact"),
        pytest.param(["<"], [">"], {}, id="signs-apart"),
        pytest.param(["-"], ["_"], {}, id="nothing-left"),
        pytest.param(["person"], ["person?"], {}, id="a-question-mark-counts"),
        pytest.param(["Car"], ["car", "CAR"], {}, id="two-in-any-case-there"),
        pytest.param(["car", "Car"], ["CAR"], {}, id="two-in-any-case-here"),
        pytest.param(["a-b", "ab"], ["a_b"], {}, id="two-plain-here"),
        pytest.param(["ab"], ["a-b", "a_b"], {}, id="two-plain-there"),
        pytest.param(["a-b", "ab"], ["a-b", "a_b"], {"a-b": "a-b"}, id="exact-and-no-rest-by-elimination"),
        pytest.param(["car", "Car"], ["car"], {"car": "car"}, id="one-is-taken-once"),
        pytest.param(["caf\u00e9"], ["cafe\u0301"], {"caf\u00e9": "cafe\u0301"}, id="accents-composed"),
        pytest.param(["\u505c\u8f66"], ["\u505c \u8f66"], {"\u505c\u8f66": "\u505c \u8f66"}, id="other-letters"),
    ],
)
def test_match_class_names(names: list[str], others: list[str], expected: dict[str, str]) -> None:
    assert match_class_names(names, others) == expected
    assert match_class_names(others, names) == {other: name for name, other in expected.items()}


def test_alike__names_that_differ_in_case_or_separators_alone() -> None:
    names = ["Stop Sign", "dog", "stop_sign", "DOG", "8.1.1", "8_11", "car", "--", "__"]
    assert alike(names) == [("Stop Sign", "stop_sign"), ("dog", "DOG")]
    assert alike(["dog", "dog"]) == []
