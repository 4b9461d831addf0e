"""Another project gets a published model from a tagged clone, by README's two commands."""

import shlex

from tests.project.pages import commands
from tests.projects import ROOT, make_repository, run


def test_a_tagged_model_is_served_to_other_projects(tmp_path):
    tag, get = (line for line in commands("README.md") if "model-2d" in line)
    ours, other = tmp_path / "ours", tmp_path / "other"
    run(tmp_path, "git", "clone", "--quiet", str(ROOT), str(ours))
    make_repository(ours)  # it is one already; this names the author of the tag
    run(ours, *shlex.split(tag))
    other.mkdir()
    run(other, *shlex.split(get.replace("URL", str(ours))))
    assert (other / "2d.npz").read_bytes() == (ours / "data/published/2d.npz").read_bytes()
