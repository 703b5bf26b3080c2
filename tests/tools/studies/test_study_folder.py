"""The folder of a study that an earlier version of numasync began."""

import json

import pytest

from numasync import InputError
from numasync.config import RENAMED
from numasync.tools.studies.plan import make_settings
from numasync.tools.studies.table import SETTINGS, open_folder

OLD_NAMES = {new: old for old, new in RENAMED.items()}


def write_old_settings(folder, settings):
    """Write study.json with the old names of options."""
    presets = settings["presets"].items()
    old = {algo: {OLD_NAMES.get(name, name): value for name, value in preset.items()} for algo, preset in presets}
    assert all(RENAMED.keys() < preset.keys() for preset in old.values())
    (folder / SETTINGS).write_text(json.dumps({**settings, "presets": old}))


def test_a_study_with_old_names_of_options_goes_on(tmp_path):
    settings = make_settings("lr", "CartPole-v1")
    write_old_settings(tmp_path, settings)
    with open_folder(tmp_path, settings) as folder:
        assert folder == tmp_path


def test_a_difference_is_told_under_the_new_name(tmp_path):
    settings = make_settings("lr", "CartPole-v1")
    write_old_settings(tmp_path, settings)
    for preset in settings["presets"].values():
        preset["rms_decay"] = 0.5
    with pytest.raises(InputError, match=r"other settings \(rms_decay is 0\.99 there, 0\.5 here\); give another --out"):
        open_folder(tmp_path, settings).__enter__()
