"""The demo in docs/demo: what its build leaves, its Python where Numba is missing, and the page in a browser."""

import functools
import http.server
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from support.without_numba import BROWSER_LACKS, COMPILER, ENVIRONMENTS, NO_THREADS, run_python

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "docs" / "demo"
AGENTS = sorted(path.stem for path in DEMO.glob("agents/*.npz"))
EPISODES, SEED = 20, 1

# What the page and its worker name of other files, relative to the page.
NAMED = re.compile(r"""(?:href|src)="([\w./-]+)"|from "\./([\w.-]+)"|(?:Worker|read)\("([\w.-]+)\"""")


def build(*arguments):
    """Run build.py, and return how it ended."""
    command = [sys.executable, str(DEMO / "build.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def fake_pyodide(folder, *left_out):
    """Make a folder with files that have the names of Pyodide's."""
    folder.mkdir()
    names = {"pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "numpy.whl", "other.whl"}
    for name in names - set(left_out):
        (folder / name).write_text(name)
    if "pyodide-lock.json" not in left_out:
        (folder / "pyodide-lock.json").write_text(json.dumps({"packages": {"numpy": {"file_name": "numpy.whl"}}}))
    return folder


def test_the_page_finds_every_file_that_it_names(tmp_path):
    assert build(tmp_path / "out").returncode == 0
    pages = [path for path in (tmp_path / "out").iterdir() if path.suffix in (".html", ".js")]
    named = {name for page in pages for names in NAMED.findall(page.read_text()) for name in names if name}
    assert {"page.js", "style.css", "worker.js", "numasync.zip", "settings.json", "draw.js"} <= named
    assert [name for name in named if not (tmp_path / "out" / name).is_file()] == []
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["pyodide"].startswith("https://") and settings["agents"] == [f"{name}.npz" for name in AGENTS]
    assert all((tmp_path / "out" / "agents" / name).is_file() for name in [*settings["agents"]])
    with zipfile.ZipFile(tmp_path / "out" / "numasync.zip") as archive:
        assert {f"numasync/{name}" for name in ("__init__.py", "learner/loop.py")} <= set(archive.namelist())


def test_every_agent_has_a_game_on_the_page():
    assert AGENTS == sorted(re.findall(r"^  (\w+): \{$", (DEMO / "games.js").read_text(), re.M))


def test_pyodide_is_copied_and_then_used(tmp_path):
    done = build(tmp_path / "out", "--pyodide", fake_pyodide(tmp_path / "pyodide"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["pyodide"] == "vendor/"
    copied = {path.name for path in (tmp_path / "out" / "vendor").iterdir()}
    assert {"pyodide.mjs", "numpy.whl", "pyodide-lock.json"} <= copied and "other.whl" not in copied


@pytest.mark.parametrize("left_out", ["pyodide.asm.wasm", "numpy.whl", "pyodide-lock.json"])
def test_a_file_of_pyodide_that_is_missing_is_named_before_anything_is_written(tmp_path, left_out):
    done = build(tmp_path / "out", "--pyodide", fake_pyodide(tmp_path / "pyodide", left_out))
    assert done.returncode == 2 and left_out in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


USE_DEMO = """
import json
sys.path.insert(0, "numasync.zip")
sys.path.insert(1, ".")
import demo, numasync
page = demo.Demo()
ask = lambda request, **arguments: page.answer(request, json.dumps(arguments))
agents, views = ask("agents"), {}
for name in agents:
    ask("begin", slot="a", agent=name, seed=1)
    view = ask("step", slot="a", epsilon=0.5, steps=20, restart=True)
    shapes = [len(values) for values in view["layers"]]
    views[name] = [shapes, len(view["obs"]), len(view["outputs"]), view["steps"]]
ask("begin", slot="me", agent="catch", seed=1)
played = [ask("step", slot="me", action=0)["over"] for _ in range(12)]
scores = ask("evaluate", agent="catch", episodes=6, seed=3)
while not scores["done"]:
    scores = ask("score")
expected = page.agents["catch"].evaluate(6, seed=3)
ask("learner", lr=0.003, seed=1)
learned = ask("learn", seconds=0.5, lr=0.001)
page.learner.trainer.theta[:] = float("nan")
failed = "error" in ask("learn", seconds=0.5, lr=0.001)
print(json.dumps([
    numasync.__file__, agents, views, played, scores["scores"], expected["mean"],
    learned["steps"], len(learned["returns"]) == learned["episodes"], len(learned["weights"]), failed,
]))
"""


def test_the_demos_python_works_without_numba_and_without_threads(tmp_path):
    assert build(tmp_path / "out").returncode == 0
    without = COMPILER + ENVIRONMENTS + BROWSER_LACKS
    found = run_python(NO_THREADS + USE_DEMO, tmp_path / "out", without)
    source, agents, views, played, scores, mean, steps, all_returns, weights, failed = found
    assert "numasync.zip" in source and sorted(agents) == AGENTS
    for name, (layers, inputs, outputs, _) in views.items():
        assert layers == [math.prod(layer["shape"]) for layer in agents[name]["layers"]]
        assert inputs == math.prod(agents[name]["shape"]) and outputs >= 2
    assert played == [False] * 8 + [True] * 4  # a ball falls nine rows, and nothing is played after that
    assert len(scores) == 6 and sum(scores) / 6 == pytest.approx(mean)
    assert steps > 9 and all_returns and weights == 50 * 64 and failed


class Handler(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page in a browser, ready, with the list of errors on its console as `page.errors`."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium, pyodide = os.environ.get("CHROMIUM") or shutil.which("chromium"), os.environ.get("NUMASYNC_PYODIDE")
    if not chromium:
        pytest.skip("There is no Chromium; name it in the variable CHROMIUM.")
    if not pyodide:
        pytest.skip("Name a folder with the files of Pyodide and NumPy in the variable NUMASYNC_PYODIDE.")
    out = tmp_path_factory.mktemp("demo")
    done = build(out, "--pyodide", pyodide)
    assert done.returncode == 0, done.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=out))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(240_000)
        tab.errors = []
        tab.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        assert tab.evaluate("window.demo.ready"), tab.text_content("#stage")
        yield tab
        browser.close()
    server.shutdown()
    assert tab.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_scores_in_the_browser_what_it_scores_on_the_command_line(page, agent):
    path = DEMO / "agents" / f"{agent}.npz"
    command = [sys.executable, "-m", "numasync", "eval", str(path), "--episodes", str(EPISODES), "--seed", str(SEED)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    expected = json.loads(done.stdout.splitlines()[-1])
    found = page.evaluate(f"window.demo.evaluate('{agent}', {EPISODES})")
    print(f"{agent}: browser {found}, command line {expected['mean']}")
    # The random numbers are the same. Two actions that are equal to seven digits may change places.
    assert abs(found - expected["mean"]) <= 3 * expected["std"] * math.sqrt(2 / EPISODES)
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_game_is_drawn_often_enough(page, agent):
    frames = page.evaluate(f"window.demo.framesPerSecond('{agent}')")
    print(f"{agent}: {frames:.0f} frames a second")
    # Two idle cores draw 260 frames and more.
    assert frames > 30 and page.errors == []


@pytest.mark.slow
def test_a_worker_learns_catch_in_the_browser(page):
    curve = page.evaluate("window.demo.learn(40)")
    print(f"Catch: {curve[0]} to {curve[-1]}, {curve[-1][0] / 40:.0f} steps a second")
    assert curve[0][1] < 0 and curve[-1][1] > curve[0][1] + 0.8 and page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_mode_fits_the_screen(page, width, scheme, tmp_path):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    for mode in ("watch", "play", "learn"):
        page.click(f"#tab-{mode}")
        assert page.is_visible(f"#{mode}") and page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(page.screenshot(path=tmp_path / f"{mode}.png")) > 10_000
    assert page.errors == []


@pytest.mark.slow
def test_a_person_plays_against_the_agent(page):
    page.evaluate("window.demo.page.choose('catch')")
    page.click("#tab-play")
    page.fill("#play-speed", "40")
    page.click("#play-you")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.getElementById('play-state').textContent.includes('play again')")
    assert page.text_content("#play-agent-score") == "1, over"
    assert page.text_content("#play-you-score") in ("1, over", "-1, over") and page.errors == []
