"""The report as a page: what it holds, what it withstands, and how it looks in a real browser."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from shortlist.evaluation.html import render
from shortlist.recommender import Recommender
from shortlist.recommender.model_card import model_card
from tests.chromium import started

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
MODELS = ("softmax_dnn", "popularity", "ease")
METRICS = ("ndcg", "recall", "hit_rate", "popularity", "coverage", "miscalibration")


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value * 0.8, "high": value * 1.2}


def difference(value: float) -> dict[str, float]:
    found = {"difference": value, "low": value - 0.01, "high": value + 0.01}
    return {**found, "probability": 0.7, "minimum_detectable": 0.014, "num_queries": 671}


def card(lead: float = 0.005) -> dict[str, Any]:
    """A small card with every part that a page shows."""
    names = [f"{metric}@{k}" for metric in METRICS for k in (10, 20)]
    levels = {"softmax_dnn": 0.04, "popularity": 0.02, "ease": 0.04 - lead}
    figures = {model: {name: figure(level) for name in [*names, "auc"]} for model, level in levels.items()}
    part = {"group": "item: genres", "num_queries": 322, "num_targets": 322}
    of_part = {model: figure(level) for model, level in levels.items()}
    epochs = [{"epoch": at, "loss": 8.0 / at, "validation": 0.03 + at / 1000, "seconds": 1.0} for at in (1, 2, 3)]
    data = {
        "num_interactions": 100004,
        "num_users": 671,
        "num_items": 9066,
        "first": "1995-01-09",
        "last": "2016-10-16",
    }
    report = {
        "split": {"method": "last_out", "seen": "remove", "num_test_targets": 671, "fingerprint": "93d52036b40cf339"},
        "num_queries": 671,
        "definition": {name: f"what {name} is, over the first {name.partition('@')[2]}" for name in [*names, "auc"]},
        "models": figures,
        "seconds": {"fit": 14.86, "fit_baselines": 149.63, "evaluate": 4.29},
        "peak_memory_mb": 1083.5,
        "seed": 0,
        "data": {**data, "dropped": {"repeats": 4}, "fingerprint": "b045f84402675a86"},
        "notes": ["softmax_dnn is below ease in ndcg@10: -0.0014."] if lead < 0 else [],
        "settings": {"ease": {"regularization": 200.0, "validation": 0.0453, "trials": 8, "seconds": 12.35}},
        "comparisons": {
            "figure": "ndcg@10",
            "model": "softmax_dnn",
            "against": {"popularity": difference(0.02), "ease": difference(lead)},
        },
        "slices": [
            {**part, "name": "Drama", "models": of_part, "versus_popularity": difference(0.02)},
            {**part, "name": "Horror", "models": of_part, "versus_popularity": difference(-0.03)},
        ],
        "curves": {
            "k": [1, 10, 100],
            **{metric: {model: [0.01, level, 0.3] for model, level in levels.items()} for metric in ("recall", "ndcg")},
        },
        "training": {
            "selection": {"epochs": epochs, "best_epoch": 3, "ended_by": "epochs"},
            "refit": {"epochs": epochs},
        },
        "cost": {"parameters": {"softmax_dnn": 1794026, "ease": 6083286}, "latency_ms": {"median": 7.9, "p95": 9.7}},
        "seeds": {},
        "stages": {
            "k": 10,
            "num_queries": 671,
            "ceiling": {"candidates": 200, "recall": figure(0.58)},
            "stages": [
                {
                    "stage": "retrieval",
                    "figures": {"ndcg@10": figure(0.04), "age@10": figure(238.0)},
                    "difference": None,
                },
                {
                    "stage": "diversity",
                    "figures": {"ndcg@10": figure(0.039), "age@10": figure(190.0)},
                    "difference": difference(-0.001),
                },
            ],
        },
        "tradeoffs": {
            "diversity": {
                "step": "diversity",
                "k": 10,
                "selected_on": "the validation part",
                "confirmed_on": "the test",
                "num_queries": 671,
                "points": [
                    {
                        "strength": s,
                        "figures": {"ndcg": 0.04 - s / 100, "age": 200.0},
                        "loss": s / 4,
                        "loss_high": s / 3,
                    }
                    for s in (0.0, 0.3, 0.6)
                ],
                "max_loss": 0.1,
                "chosen": 0.3,
                "confirmed": {"loss": 0.07, "difference": difference(-0.003)},
            }
        },
    }
    settings = {"seed": 0, "data": {"dataset": "ml-latest-small", "users": None}, "retriever": {"hidden_dims": [128]}}
    limits = ["Items that were not in the training data cannot be recommended."]
    return {"model": "softmax_dnn", "data": data, "settings": settings, "limits": limits, "report": report}


def pair(**further: Any) -> dict[str, Any]:
    figures = {"ndcg@10": difference(0.02), "recall@20": difference(-0.005)}
    return {"first": "wide", "second": "demo", "comparable": True, "why_not": "", "figures": figures, **further}


class Tags(HTMLParser):
    """Every tag with its attributes; the content of scripts is not markup."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def held(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_nothing_is_loaded() -> None:
    page = render([("demo", card())])
    assert set(re.findall(r"https?://[^\s\"'`<)]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|\bimport\b *[({\"']|innerHTML|\beval\(", page)
    sources = [attrs[name] for _, attrs in Tags(page).found for name in ("src", "href") if name in attrs]
    assert sources == ["data:,", "#main"]
    policy = next(attrs["content"] or "" for tag, attrs in Tags(page).found if "http-equiv" in attrs and tag == "meta")
    assert policy.startswith("default-src 'none'")


def test_the_data_is_what_was_given() -> None:
    given = card()
    page = render([("demo", given)], [pair()])
    assert held(page) == {"artifacts": [{"name": "demo", "card": given}], "comparisons": [pair()]}


def test_text_cannot_become_markup() -> None:
    given = card()
    given["report"]["notes"] = [HOSTILE, "${style} $title"]
    given["report"]["models"][HOSTILE] = given["report"]["models"].pop("ease")
    given["limits"] = ["<!--<script>"]
    page = render([(HOSTILE, given)], [pair(why_not=HOSTILE)])
    plain = render([("demo", card())])
    assert [tag for tag, _ in Tags(page).found] == [tag for tag, _ in Tags(plain).found]
    assert "<title>&lt;/script&gt;" in page
    assert held(page)["artifacts"][0]["name"] == HOSTILE
    assert held(page)["artifacts"][0]["card"]["limits"] == ["<!--<script>"]


def test_what_is_not_finite_is_null() -> None:
    page = render(
        [("demo", {"report": {"peak_memory_mb": float("nan"), "notes": (float("inf"), 1.5)}, "x": {3: None}})]
    )
    assert held(page)["artifacts"][0]["card"] == {
        "report": {"peak_memory_mb": None, "notes": [None, 1.5]},
        "x": {"3": None},
    }


def without(*names: str, **further: Any) -> dict[str, Any]:
    found = card()
    for name in names:
        found["report"].pop(name)
    found["report"] |= further
    return found


def nulls(value: Any) -> Any:
    """The same with no number in it."""
    if isinstance(value, Mapping):
        return {key: nulls(one) for key, one in value.items()}
    if isinstance(value, list):
        return [nulls(one) for one in value]
    return None if isinstance(value, float) else value


ALONE = without("slices", "comparisons")
ALONE["report"]["models"] = {"softmax_dnn": card()["report"]["models"]["softmax_dnn"]}
SEEDS = {"seeds": [2, 0], "figures": {"ndcg@10": {"values": [0.04, 0.03], "mean": 0.035, "deviation": 0.007}}}
UNSLICED = [{**one, "versus_popularity": None} for one in card()["report"]["slices"]]
PAGES: dict[str, list[tuple[str, Any]]] = {
    "all": [("demo", card())],
    "loses": [("demo", card(lead=-0.03))],
    "little": [
        ("demo", without("slices", "curves", "training", "cost", "seeds", "settings", "data", "notes", "stages"))
    ],
    "empty": [("demo", without(slices=[], curves={}, training={}, cost={}, seeds={}, comparisons={}, definition={}))],
    "nulls": [("demo", {**card(), "report": nulls(card()["report"])})],
    "alone": [("demo", ALONE)],
    "seeds": [("demo", without(seeds=SEEDS, slices=UNSLICED))],
    "no report": [("demo", {**card(), "report": None})],
    "bare": [("demo", {})],
    "none": [],
}


@pytest.mark.parametrize("name", PAGES)
def test_missing_parts_are_no_error(name: str) -> None:
    page = render(PAGES[name])
    assert [one["name"] for one in held(page)["artifacts"]] == [one for one, _ in PAGES[name]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = started(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def show(browser: Any, folder: Path, page: str, *, width: int = 1280, theme: str = "light") -> None:
    """Open a page from a file, as one does who got it by mail."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(file.as_uri())
    settle(browser)


def settle(browser: Any) -> None:
    """Charts are drawn when the browser has told them their width: two frames later they stand."""
    script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
    browser.execute_async_script(script)


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
    found: list[str] = browser.execute_script(script, selector)
    return found


def choose(browser: Any, selector: str, value: str) -> None:
    """As a reader does, by what the page listens to."""
    browser.execute_script(
        """const found = document.querySelector(arguments[0]);
        if (found.matches("select")) { found.value = arguments[1]; found.dispatchEvent(new Event("change")); }
        else found.querySelector(`input[value="${arguments[1]}"]`).click();""",
        selector,
        value,
    )
    settle(browser)


def assert_in_order(browser: Any) -> None:
    problems = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]
    assert problems == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert not re.search(r"undefined|NaN|\[object|Infinity", browser.execute_script("return document.body.innerText"))


SECTIONS = [
    "verdict",
    "accuracy",
    "curves",
    "trade-off",
    "slices",
    "stages",
    "strengths",
    "training",
    "cost",
    "limits",
    "definitions",
    "settings",
]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_in_a_browser(browser: Any, tmp_path: Path, theme: str, width: int) -> None:
    show(browser, tmp_path, render([("demo", card())]), width=width, theme=theme)
    assert browser.execute_script("return [...document.querySelectorAll('section')].map((one) => one.id)") == SECTIONS
    assert texts(browser, ".number") == ["0.0400"]
    assert "Ahead of ease, the best of 2 baselines, but this may be chance" in texts(browser, ".headline")[0]
    assert "+0.0050 NDCG@10 over ease" in texts(browser, ".evidence")[0]
    assert texts(browser, "#accuracy tbody th .named > span")[:1] == ["softmax_dnnthis model"]
    assert "NDCG@10" in texts(browser, "[data-testid=meaning]")[0]
    choose(browser, "#accuracy select[name=metric]", "recall")
    choose(browser, "#accuracy [data-name=k]", "20")
    assert "what recall@20 is" in texts(browser, "[data-testid=meaning]")[0]
    assert "Recall@20" in texts(browser, "#accuracy caption")[0]
    assert "k = 20" in texts(browser, "[data-testid=accuracy-table] summary")[0]
    choose(browser, "#trade-off select[name=trade-off-axis]", "miscalibration")
    assert "← better" in texts(browser, "#trade-off .axis-title")[-1]
    choose(browser, "#accuracy select[name=metric]", "auc")
    assert "over the whole list" in texts(browser, "#accuracy .controls")[0]
    assert "Horror" in texts(browser, "[data-testid=losses]")[0]
    assert "hidden_dims = [128]" in texts(browser, "pre")[0]
    assert "The 200 candidates of a question hold 0.5800" in texts(browser, "[data-testid=stages] p")[0]
    lost = texts(browser, "[data-testid=tradeoff-diversity] p")[0]
    assert lost.startswith(
        "Strength 0.3 is the largest found that surely loses at most 10.0 % of NDCG. On the test it lost 7.0 %"
    )
    assert len(texts(browser, "#strengths svg.plane, #strengths svg.is-live")) == 2
    stage = "return [...document.querySelectorAll('[data-testid=stages] tbody tr:last-child > *')].map((one) => one.textContent)"
    assert browser.execute_script(stage) == ["diversity", "0.0390", "\u22120.0010[\u22120.0110, +0.0090]", "190"]
    assert_in_order(browser)
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    assert_in_order(browser)


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_missing_parts_in_a_browser(browser: Any, tmp_path: Path, name: str) -> None:
    show(browser, tmp_path, render(PAGES[name]), width=390)
    assert len(texts(browser, "[data-testid=head]")) == 1
    assert ("not evaluated" in texts(browser, "main")[0]) == (name in {"no report", "bare"})
    if name == "loses":
        assert texts(browser, ".verdict.is-worse .headline") == ["Worse than ease, the best of 2 baselines"]
    assert_in_order(browser)


@pytest.mark.browser
def test_hostile_text_in_a_browser(browser: Any, tmp_path: Path) -> None:
    given = card()
    report = given["report"]
    report["notes"], given["limits"] = [HOSTILE], [HOSTILE]
    report["slices"][0]["name"] = report["slices"][1]["group"] = HOSTILE
    for figures in (report["models"], report["comparisons"]["against"], *report["curves"].values()):
        if "ease" in figures:
            figures[HOSTILE] = figures.pop("ease")
    show(browser, tmp_path, render([(HOSTILE, given)], [pair(first=HOSTILE, comparable=False, why_not=HOSTILE)]))
    assert texts(browser, "h1") == [HOSTILE]
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert browser.execute_script("return document.scripts.length") == 2
    assert_in_order(browser)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_several_artifacts_in_a_browser(browser: Any, tmp_path: Path, width: int) -> None:
    wide = copy.deepcopy(card())
    wide["settings"]["retriever"]["hidden_dims"] = [512]
    wide["report"]["models"]["softmax_dnn"]["ndcg@10"] = figure(0.06)
    artifacts = [("demo", card()), ("wide", wide)]
    show(browser, tmp_path, render(artifacts, [pair()]), width=width)
    assert "wide is better than demo" in texts(browser, "[data-testid=pair] .headline")[0]
    assert "[512]" in texts(browser, "#which table.simple")[0]
    rows = texts(browser, "[data-testid=accuracy] tbody tr th")
    assert [row.strip() for row in rows] == ["demosoftmax_dnn", "widesoftmax_dnn", "ease", "popularity"]
    assert_in_order(browser)

    reason = "They were tested on different data."
    show(browser, tmp_path, render(artifacts, [pair(comparable=False, why_not=reason, figures={})]), width=width)
    assert reason in texts(browser, "[data-testid=not-comparable]")[0]
    tables = "return [...document.querySelectorAll('[data-testid=accuracy] table')].map((one) => one.innerText)"
    first, second = browser.execute_script(tables)
    assert "demo" in first
    assert "wide" not in first
    assert "wide" in second
    assert_in_order(browser)


@pytest.mark.browser
def test_the_demo_in_a_browser(browser: Any, tmp_path: Path, demo: Recommender) -> None:
    """What a training run really writes; the picture of it where SHORTLIST_SCREENSHOTS names a folder."""
    card = json.loads(json.dumps(model_card(demo).to_dict()))
    show(browser, tmp_path, render([("demo", card)]))
    further = {"stages", "strengths"}  # the demo has neither ranker nor re-ranking
    assert set(SECTIONS) - further <= set(
        browser.execute_script("return [...document.querySelectorAll('section')].map((one) => one.id)")
    )
    assert_in_order(browser)
    if folder := os.environ.get("SHORTLIST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder) / "report.png"))


@pytest.mark.browser
def test_by_keyboard_and_on_paper(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, render([("demo", card())]))
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    chart = browser.find_element(By.CSS_SELECTOR, "#curves .plane svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", chart)
    chart.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "k 10" in texts(browser, "#tooltip")[0]
    browser.execute_script("dispatchEvent(new Event('scroll'))")  # late news: the page stands where it stood
    assert "0.0400" in texts(browser, "#tooltip:not([hidden])")[0]
    browser.execute_async_script("scrollBy(0, -40); requestAnimationFrame(() => setTimeout(arguments[0], 50))")
    assert texts(browser, "#tooltip:not([hidden])") == [], "the page moved away from under it"
    chart.send_keys(Keys.ARROW_RIGHT)
    assert len(texts(browser, "#tooltip:not([hidden])")) == 1
    chart.send_keys(Keys.ESCAPE)
    assert texts(browser, "#tooltip:not([hidden])") == []
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    closed = texts(browser, "details:not([open]) > summary")
    assert closed == ["Recall@k as a table", "NDCG@k as a table"], "they are wider than paper"
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert texts(browser, "details[open]") == []
    assert_in_order(browser)
